"""Settings: who wins, where a value came from, and everything that is wrong told at once."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from serinus import settings
from serinus.errors import InvalidInput
from serinus.settings import Settings


def load(home: Path, environment: dict[str, str] | None = None, **given: Any) -> Settings:
    return settings.load({"SERINUS_HOME": str(home)} | (environment or {}), **given)[0]


def origins(home: Path, environment: dict[str, str] | None = None, **given: Any) -> dict[str, str]:
    found = settings.load({"SERINUS_HOME": str(home)} | (environment or {}), **given)[1]
    return {item.name: item.origin for item in found}


def faults(home: Path, environment: dict[str, str] | None = None, **given: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        load(home, environment, **given)
    return caught.value.faults


def write(home: Path, text: str) -> Path:
    path = home / "serinus.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_load_without_anything_gives_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings(home=tmp_path)
    assert set(origins(tmp_path).values()) == {"default", "environment SERINUS_HOME"}


def test_load_gives_an_origin_for_every_setting_in_order(tmp_path: Path) -> None:
    assert list(origins(tmp_path)) == [item.name for item in fields(Settings)]


def test_load_prefers_option_to_environment_to_file_to_default(tmp_path: Path) -> None:
    path = write(tmp_path, "control_port = 1\ngateway_port = 2\nmlflow_port = 3\n")
    environment = {"SERINUS_CONTROL_PORT": "11", "SERINUS_GATEWAY_PORT": "12"}
    found = load(tmp_path, environment, control_port=21)
    ports = (found.control_port, found.gateway_port, found.mlflow_port)
    assert ports == (21, 12, 3)
    told = origins(tmp_path, environment, control_port=21)
    assert told["control_port"] == "option"
    assert told["gateway_port"] == "environment SERINUS_GATEWAY_PORT"
    assert told["mlflow_port"] == str(path)
    assert told["host"] == "default"


def test_load_takes_an_option_of_none_as_absent(tmp_path: Path) -> None:
    assert origins(tmp_path, control_port=None)["control_port"] == "default"


def test_load_takes_an_empty_variable_as_absent(tmp_path: Path) -> None:
    environment = {"SERINUS_CONTROL_PORT": "", "MLFLOW_TRACKING_URI": " "}
    assert load(tmp_path, environment) == Settings(home=tmp_path)


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000", "tracking", "http://127.0.0.1:5000"),
        ("MAX_CONCURRENT_TRAINING_JOBS", "3", "max_concurrent_training_jobs", 3),
        ("MIN_TRAINING_DATA_POINTS", "1000", "min_training_data_points", 1000),
        ("MONITORING_WINDOW_HOURS", "0.5", "monitoring_window_seconds", 1800.0),
        ("SERINUS_MONITORING_WINDOW_SECONDS", "0.5", "monitoring_window_seconds", 0.5),
        ("SERINUS_RETRAIN_AUTOMATICALLY", "false", "retrain_automatically", False),
        ("SERINUS_LEDGER_SYNC", "disk", "ledger_sync", "disk"),
    ],
)
def test_load_reads_a_variable(
    tmp_path: Path, variable: str, text: str, name: str, value: object
) -> None:
    assert getattr(load(tmp_path, {variable: text}), name) == value


def test_load_reads_the_home_by_its_other_name(tmp_path: Path) -> None:
    write(tmp_path, 'host = "0.0.0.0"')
    found, told = settings.load({"MLOPS_BASE_PATH": str(tmp_path)})
    assert (found.home, found.host) == (tmp_path, "0.0.0.0")
    assert told[0].origin == "environment MLOPS_BASE_PATH"


def test_load_prefers_the_own_name_to_the_other(tmp_path: Path) -> None:
    environment = {"MONITORING_WINDOW_HOURS": "2", "SERINUS_MONITORING_WINDOW_SECONDS": "5"}
    assert load(tmp_path, environment).monitoring_window_seconds == 5.0
    assert load(tmp_path, {"MLOPS_BASE_PATH": "/elsewhere"}).home == tmp_path


def test_load_finds_the_file_under_a_home_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "state").mkdir()
    write(tmp_path / "state", "control_port = 7")
    found = load(Path("~/state"))
    assert (found.home, found.control_port) == (tmp_path / "state", 7)


def test_load_reads_the_environment_of_the_process(tmp_path: Path) -> None:
    program = "from serinus import settings; print(settings.load()[0].control_port)"
    environment = os.environ | {"SERINUS_HOME": str(tmp_path), "SERINUS_CONTROL_PORT": "4321"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "4321\n"


def test_load_tells_every_fault_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, 'gatway_port = 1\nrequest_max_rows = 0\nhome = "/x"\n')
    environment = {"SERINUS_CONTROL_PRT": "1", "SERINUS_GATEWAY_WORKERS": "many"}
    assert sorted(faults(tmp_path, environment, log_level="loud")) == sorted(
        [
            f"{path}: unknown setting 'gatway_port' (did you mean gateway_port?)",
            "environment: unknown variable SERINUS_CONTROL_PRT"
            " (did you mean SERINUS_CONTROL_PORT?)",
            f"{path}: home cannot be set in the file that lies in it",
            "gateway_workers = 'many' (environment SERINUS_GATEWAY_WORKERS): "
            "Expected `int`, got `str`",
            f"request_max_rows = 0 ({path}): Expected `int` >= 1",
            "log_level = 'loud' (option): Invalid enum value 'loud'; "
            "choose from debug, info, warning, error",
        ]
    )


def test_load_makes_no_suggestion_for_a_name_like_no_other(tmp_path: Path) -> None:
    assert faults(tmp_path, {"SERINUS_ZZZ": "1"}) == ("environment: unknown variable SERINUS_ZZZ",)


def test_load_ignores_other_programs_variables(tmp_path: Path) -> None:
    assert load(tmp_path, {"PATH": "/bin", "SERINUSX": "1"}) == Settings(home=tmp_path)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "0", "-1", "soon"])
def test_load_refuses_a_deadline_that_is_none(tmp_path: Path, text: str) -> None:
    (fault,) = faults(tmp_path, {"SERINUS_REQUEST_TIMEOUT_SECONDS": text})
    assert fault.startswith(f"request_timeout_seconds = {text!r}")


def test_load_refuses_one_port_for_two_servers(tmp_path: Path) -> None:
    both = {"control_port": 9000, "gateway_port": 9000}
    assert faults(tmp_path, None, **both) == ("control_port and gateway_port are the same",)
    assert load(tmp_path, control_port=0, gateway_port=0).gateway_port == 0


def test_load_refuses_hosts_that_are_no_names(tmp_path: Path) -> None:
    good = "a.example, *.b.example,, *"
    assert load(tmp_path, allowed_hosts=good).allowed_hosts == good
    found = faults(tmp_path, None, allowed_hosts="a.example,http://b.example,c:8090,*d")
    assert found == tuple(
        f"allowed_hosts: {name!r} is no name of a host, without scheme and port"
        for name in ("http://b.example", "c:8090", "*d")
    )


def test_load_refuses_a_file_that_is_no_toml_and_names_it(tmp_path: Path) -> None:
    path = write(tmp_path, "control_port: 1\n")
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.remedy == "Correct or remove it."


def test_load_hides_passwords(tmp_path: Path) -> None:
    secret = "postgresql://anna:geheim@db/serinus"
    found, told = settings.load({}, home=tmp_path, database_url=secret)
    assert found.database == secret
    shown = {item.name: item.value for item in told}
    assert shown["database_url"] == "postgresql://anna:***@db/serinus"
    assert "geheim" not in "".join(faults(tmp_path, host="x://y:geheim@z", control_port=-1))
    for url, hidden in (
        ("redis://:geheim@db:6379/0", "redis://:***@db:6379/0"),
        (
            "unix:///run/db?db=0&password=geheim&prefix=a",
            "unix:///run/db?db=0&password=***&prefix=a",
        ),
    ):
        found, told = settings.load({}, home=tmp_path, ledger_url=url)
        assert found.ledger == url
        assert {item.name: item.value for item in told}["ledger_url"] == hidden


def test_settings_derive_places_from_home(tmp_path: Path) -> None:
    found = Settings(home=tmp_path)
    assert found.database == f"sqlite:///{tmp_path}/serinus.db"
    assert found.tracking == f"sqlite:///{tmp_path}/mlflow.db"
    assert found.artifacts.parent == found.ledger.parent == found.routing_table.parent == tmp_path


def test_settings_make_home_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(home=Path("state")).home == tmp_path / "state"


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_settings_give_addresses_that_can_be_reached(host: str) -> None:
    found = Settings(host=host, control_port=1, gateway_port=2)
    assert (found.control_url, found.gateway_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_prepare_environment_keeps_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "")
    settings.prepare_environment()
    assert os.environ["DO_NOT_TRACK"] == "0"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_bare_environment_has_nothing_that_sets_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERINUS_DATABASE_URL", "postgresql://team@db/theirs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://theirs:5000")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    bare = settings.bare_environment()
    assert bare["DO_NOT_TRACK"] == "1"
    assert settings.load(bare)[0] == Settings()
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://theirs:5000"
    with monkeypatch.context() as here:
        here.setattr(os, "environ", dict(os.environ))
        settings.forget_environment()
        assert os.environ == bare


def test_onnx_runtime_tells_nobody_of_a_model(tmp_path: Path) -> None:
    """It would keep what it did in a database of the user's, and send it when it can."""
    program = (
        "import sys\nfrom serinus import settings\nsettings.prepare_environment()\n"
        "import onnxruntime\nfrom onnx import TensorProto, helper\n"
        "ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in 'xy']\n"
        "node = helper.make_node('Identity', ['x'], ['y'])\n"
        "graph = helper.make_graph([node], 'g', ends[:1], ends[1:])\n"
        "opset = [helper.make_opsetid('', 17)]\n"
        "model = helper.make_model(graph, opset_imports=opset, ir_version=9)\n"
        "onnxruntime.InferenceSession(model.SerializeToString())\n"
    )
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    kept |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=kept, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
