"""A whole installation by its commands: trained, started, asked, broken, stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.calling import Answer, serinus

from serinus import clock
from serinus.client import Serinus
from serinus.errors import Unavailable
from serinus.processes import ports

pytestmark = pytest.mark.timeout(240)


@dataclass
class Installation:
    """A running `serinus up`."""

    home: Path
    control_url: str
    gateway_url: str
    process: subprocess.Popen[str]

    def call(self, *arguments: str, text: str = "") -> Answer:
        """A command beside it."""
        gateway = f"gateway_port={self.gateway_url.rpartition(':')[2]}"
        return serinus(
            "--set", gateway, *arguments, home=self.home, control=self.control_url, text=text
        )

    def children(self) -> dict[str, int]:
        """The ids of its processes by name."""
        found = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                words = (stat.parent / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if parent == self.process.pid and "--supervised" in words:
                found[words[words.index("--supervised") - 1]] = int(stat.parent.name)
        return found


def alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until the condition holds; nobody answering is not yet."""
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline:
        try:
            if condition():
                return
        except Unavailable:
            pass
        clock.sleep(0.1)
    raise AssertionError("it did not come about in time")


def up(home: Path) -> Installation:
    """Start everything on free ports."""
    control, gateway = ports.free("127.0.0.1"), ports.free("127.0.0.1")
    process = subprocess.Popen(
        [sys.executable, "-m", "serinus", "up", "--home", str(home), "--control-port",
         str(control), "--gateway-port", str(gateway), "--json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate(timeout=20)[1])
    urls = json.loads(line)
    return Installation(home, urls["control_url"], urls["gateway_url"], process)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a trained version whose deployment has begun."""
    home = tmp_path_factory.mktemp("home")
    answer = serinus(
        "train", "--data", "breast_cancer", "--model", "tumour", "--algorithm",
        "logistic_regression", "--deploy", "--json", home=home,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.json["version"] == "1.0.0"
    assert answer.json["deployment"]
    return home


@pytest.fixture(scope="module")
def installation(trained: Path) -> Iterator[Installation]:
    """The installation, running."""
    running = up(trained)
    yield running
    running.process.terminate()
    running.process.communicate(timeout=60)


@pytest.fixture
def client(installation: Installation) -> Iterator[Serinus]:
    """An SDK client of it."""
    with Serinus(installation.control_url, installation.gateway_url) as made:
        eventually(lambda: made.model("tumour").champion == "1.0.0")
        eventually(made.model_info)
        yield made


def test_commands_ask_the_gateway(installation: Installation, client: Serinus) -> None:
    example = client.version("tumour", "1.0.0").manifest.example

    one = installation.call("predict", json.dumps(example), "--model", "tumour", "--json")
    two = installation.call("predict", "--json", text=json.dumps([example, {"oops": 1}]))
    label = installation.call("feedback", one.json["prediction_id"], "0", "--json")
    value = installation.call("feedback", one.json["prediction_id"], "--value", "-2.5", "--json")
    smoke = installation.call("smoke", "--json")

    assert one.json["version"] == "1.0.0"
    assert one.json["arm"] == "champion"
    good, bad = two.json["predictions"]
    assert good["prediction"] == one.json["prediction"]
    assert bad["error"]["status"] == 422
    assert label.code == 0, label.err
    assert value.json == {"accepted": 1}, value.err
    assert smoke.code == 0, smoke.out
    assert [check["name"] for check in smoke.json["checks"]] == [
        "control plane",
        "gateway",
        "routing",
        "prediction by tumour",
    ]
    assert installation.call("feedback", "f" * 32, "0").code == 2


def test_killed_children_are_restarted(installation: Installation, client: Serinus) -> None:
    before = installation.children()
    assert set(before) == {"control", "gateway", "worker"}

    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    eventually(lambda: set(installation.children()) == {"control", "gateway", "worker"})
    assert set(installation.children().values()).isdisjoint(before.values())
    eventually(lambda: client.health().status == "ok")
    example = client.version("tumour", "1.0.0").manifest.example
    eventually(lambda: client.predict(example).version == "1.0.0")


def test_job_is_run_by_the_worker(installation: Installation, client: Serinus) -> None:
    asked = installation.call("jobs", "train", "--data", "iris", "--model", "flowers", "--json")

    eventually(lambda: client.job(asked.json["id"]).finished_at, 100)

    assert client.job(asked.json["id"]).state == "succeeded", client.job(asked.json["id"]).error
    assert [item.version for item in client.versions("flowers")] == ["1.0.0"]


def test_second_up_names_the_taken_port_and_starts_nothing(installation: Installation) -> None:
    port = installation.gateway_url.rpartition(":")[2]
    free = str(ports.free("127.0.0.1"))

    answer = serinus("up", "--control-port", free, "--gateway-port", port, home=installation.home)

    assert answer.code == 2
    assert f"port {port} on 127.0.0.1 is taken" in answer.err
    assert "--gateway-port" in answer.err
    assert "Traceback" not in answer.err


def test_killed_supervisor_leaves_no_orphan_and_ctrl_c_stops_in_order(tmp_path: Path) -> None:
    first = up(tmp_path)
    children = first.children()
    first.process.kill()
    first.process.communicate(timeout=20)
    eventually(lambda: not any(map(alive, children.values())))

    second = up(tmp_path)
    children = second.children()
    second.process.send_signal(signal.SIGINT)
    _, err = second.process.communicate(timeout=30)

    assert second.process.returncode == 0
    assert "Everything has stopped." in err
    assert not any(map(alive, children.values()))


@pytest.mark.parametrize("command", ["up", "control", "gateway", "worker"])
def test_folder_that_cannot_be_written_is_one_message(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")

    answer = serinus(command, home=tmp_path / "file" / "home")

    assert answer.code == 2
    assert answer.err.startswith(f"serinus: {tmp_path}/file/home: the state folder cannot be")
    assert "Traceback" not in answer.err
