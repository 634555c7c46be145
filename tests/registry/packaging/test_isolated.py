"""Versions in processes of their own, from packaging to a gateway that serves them."""

import os
import signal
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest
from tests.serving.loads import Load
from tests.serving.running import Gateway
from tests.serving.runtimes import wild

from serinus import wire
from serinus.errors import InvalidInput
from serinus.registry import environments
from serinus.registry.packaging import isolated, packager
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.process import ProcessRuntime

OLD = "sqlparse==0.4.4"


def versioned():
    """A model that answers with the version of a package, as a number."""

    class Versioned:
        def predict(self, rows):
            import sqlparse

            parts = [int(part) for part in sqlparse.__version__.split(".")]
            return rows["x"].to_numpy() * 0 + sum(p / 10**n for n, p in enumerate(parts))

    return Versioned()


def test_isolate_has_a_version_run_in_a_process(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    told: list[str] = []
    made = isolated.isolate(
        str(folder), wild.REGRESSION, tmp_path, told.append, with_environment=False
    )
    assert packager.packaged(str(folder)) == made
    assert (made.form, made.python) == ("process", "")
    assert set(made.attempts[0].original_us) == {"1", "32", "1000"}
    assert told[-1].startswith("wild runs in a process of its own with Python 3.")
    runtime = artifacts.load("wild", wire.Target("1", str(folder)))
    try:
        assert isinstance(runtime, ProcessRuntime)
        assert runtime.answer([wild.row(x=2.0)]) == [wire.Output(2.0)]
        assert runtime.pid != os.getpid()
    finally:
        runtime.close()


def test_isolate_leaves_a_version_that_fails_as_it_was(tmp_path):
    example = dict(wild.EXAMPLE, deed="crash")
    manifest = msgspec.structs.replace(wild.REGRESSION, example=example)
    folder = wild.save(tmp_path / "m", wild.wild(), manifest)
    with pytest.raises(InvalidInput, match="killed by SIGSEGV"):
        isolated.isolate(str(folder), manifest, tmp_path, print, with_environment=False)
    assert not (folder / wire.PACKAGE_FILE).exists()


def test_isolate_makes_the_environment_that_a_version_asks_for(tmp_path):
    pinned = [f"{name}=={version(name)}" for name in ("pandas", "numpy", "cloudpickle")]
    folder = wild.save_pyfunc(tmp_path / "m", versioned(), wild.REGRESSION, OLD, *pinned)
    told: list[str] = []
    try:
        made = isolated.isolate(
            str(folder), wild.REGRESSION, tmp_path, told.append, with_environment=True
        )
    except InvalidInput as error:
        if error.what == "the environment cannot be made":
            pytest.skip(f"no package index can be reached: {error.faults[-2:]}")
        raise
    (environment,) = environments.listing(tmp_path)
    assert made.python == environment.python
    assert any("mlflow-skinny" in line for line in environment.requirements)
    assert environments.interpreters([folder], wire.PACKAGE_FILE) == {made.python}
    runtime = artifacts.load("wild", wire.Target("1", str(folder)))
    try:
        assert runtime.answer([wild.row()]) == [wire.Output(pytest.approx(0.44))]
    finally:
        runtime.close()


@pytest.mark.parametrize(
    ("answer", "metadata", "expected"),
    [
        (1.5, None, ("regression", ())),
        ("a", {"classes": ["a", "b"]}, ("classification", ("a", "b"))),
        ("a", None, "cannot be loaded here"),
    ],
)
def test_model_of_packages_that_are_not_here_is_registered_if_it_tells_what_it_answers(
    tmp_path, answer, metadata, expected
):
    import mlflow.models
    import pandas as pd

    from serinus.registry import imported

    wild.save_pyfunc(tmp_path / "m", versioned(), wild.REGRESSION, "sqlparse")
    (tmp_path / "m" / "python_model.pkl").write_bytes(b"cno_such_module\nThing\n.")
    about = mlflow.models.Model.load(str(tmp_path / "m"))
    rows = pd.DataFrame({"x": [0.5]})
    about.signature = mlflow.models.infer_signature(rows, pd.DataFrame({"y": [answer]}))
    about.metadata = metadata
    about.save(str(tmp_path / "m" / "MLmodel"))
    if isinstance(expected, str):
        with pytest.raises(InvalidInput, match=expected) as caught:
            imported.manifest_from(str(tmp_path / "m"), "wild", "y")
        assert "no_such_module" in caught.value.what
        assert "--environment" in caught.value.remedy
    else:
        manifest, _ = imported.manifest_from(str(tmp_path / "m"), "wild", "y")
        assert (manifest.task, manifest.classes) == expected


def test_isolated_version_on_a_machine_without_its_environment(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    package = wire.Package(form="process", python=str(tmp_path / "gone" / "python"))
    (folder / wire.PACKAGE_FILE).write_bytes(msgspec.json.encode(package))
    with pytest.raises(InvalidInput, match="cannot be started") as caught:
        artifacts.load("wild", wire.Target("1", str(folder)))
    assert "models package" in caught.value.remedy


# ------------------------------------------------------------------ in a gateway


@pytest.fixture
def gateway(tmp_path, free_port):
    """A gateway with a champion that is tame and a challenger in a process, half and half."""
    tame = wild.wild(answer="name", tame=True)
    champion = wild.save(tmp_path / "champion", tame, wild.CLASSES)
    challenger = wild.save(tmp_path / "challenger", wild.wild(answer="scores"), wild.CLASSES)
    isolated.isolate(str(challenger), wild.CLASSES, tmp_path, print, with_environment=False)
    route = wire.Route(
        model="wild",
        champion=wire.Target("1", str(champion)),
        challenger=wire.Target("2", str(challenger)),
        share=0.5,
    )
    made = Gateway(tmp_path / "home", free_port(), request_timeout_seconds=4.0)
    made.publish(1, route)
    with made:
        made.until_revision(1)
        yield made


def child_of(gateway: Gateway) -> int:
    """The process of the challenger, 0 if there is none."""
    (worker,) = gateway.workers()
    found = []
    for task in Path(f"/proc/{worker}/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return found[0] if found else 0


def answered_by(load: Load) -> set[object]:
    return {answer["version"] for answer in load.answers}


BODY = {"features": {"deed": "", "x": 3.0, "n": 1, "good": True}}


def test_child_killed_under_load_costs_no_request_its_answer(gateway):
    pid = child_of(gateway)
    with Load(gateway.url, "/predict", BODY) as load:
        load.until_more(40)
        for _ in range(2):
            os.kill(pid, signal.SIGKILL)
            load.until_more(40)
            before = pid
            gateway.until(lambda before=before: child_of(gateway) not in {0, before})
            pid = child_of(gateway)
        # It comes back, and answers its share again.
        seen = len(load.answers)
        gateway.until(lambda: "2" in {answer["version"] for answer in load.answers[seen:]}, 60)
        load.stop()
    assert load.refused == []
    assert load.broken == 0
    assert answered_by(load) == {"1", "2"}
    reasons = {
        record.event.fallback
        for record in gateway.reader.scan()
        if isinstance(record.event, wire.Prediction) and record.event.fallback
    }
    assert any("killed by SIGKILL" in why for why in reasons)


def test_child_that_hangs_is_answered_for_in_time(gateway):
    body = {"features": {**BODY["features"], "deed": "spin 60"}}
    pid = child_of(gateway)
    begun = time.monotonic()
    answer = gateway.post("/predict", body, **{"x-serinus-arm": "challenger"}).json()
    assert time.monotonic() - begun < 4.5
    assert answer["version"] == "1"
    gateway.until(lambda: child_of(gateway) not in {0, pid})


def test_child_ends_with_its_worker(gateway):
    pid = child_of(gateway)
    gateway.kill_worker()
    gateway.until(lambda: not Path(f"/proc/{pid}").exists() or _is_dead(pid), 10)


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
