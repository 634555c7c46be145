import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.serving.runtimes import wild

from serinus.errors import InvalidInput, Unavailable
from serinus.serving.runtimes import columns
from serinus.serving.runtimes.process import load_task
from serinus.serving.runtimes.spawning import Spawned, is_own

PACKER = columns.RowPacker(wild.INPUTS)


def until(holds, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_running(pid: int) -> bool:
    """Whether a process does anything; a zombie that nobody awaits does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group(pid: int) -> list[int]:
    """The processes that run in a process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


class Started:
    """A process with a wild model, and what was told of its end."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.ends: list[str] = []
        given = {"is_own": False, "memory_bytes": 0, "name": "wild", **options}
        self.process = Spawned(sys.executable, ended=self._end, **given)
        saved = folder if folder.exists() else wild.save(folder, wild.wild(), wild.REGRESSION)
        self.head, _ = self.process.ask(columns.message(load_task(saved, wild.REGRESSION)), 20)

    def _end(self, process: Spawned, why: str) -> None:
        assert process.is_gone
        self.ends.append(why)

    def ask(self, deed: str, seconds: float = 10.0) -> tuple[columns.Reply, memoryview]:
        return self.process.ask(PACKER.pack([wild.row(deed)]), seconds)

    def until_ended(self) -> str:
        until(lambda: self.ends)
        return self.ends[0]


@pytest.fixture
def started(tmp_path):
    made = Started(tmp_path / "m")
    yield made
    made.process.stop("the test is over")
    made.until_ended()


def test_spawned_tells_its_versions_and_answers(started):
    import pandas as pd

    assert started.head.versions["python"] == sys.version.split()[0]
    assert started.head.versions["pandas"] == pd.__version__
    assert columns.arrays(*started.ask(""))[0].tolist() == [1.0]
    assert started.process.memory > 10_000_000


def test_spawned_answers_after_the_model_has_printed_into_everything(started):
    head, raw = started.ask("print 300000")
    assert columns.arrays(head, raw)[0].tolist() == [1.0]
    assert columns.arrays(*started.ask(""))[0].tolist() == [1.0]
    until(lambda: started.process.tail[-1:] == ["????????true!"])
    assert all(len(line) <= 200 for line in started.process.tail)


@pytest.mark.parametrize("deed", ["sleep 30", "spin 30"])
def test_spawned_is_killed_when_it_takes_too_long(started, deed):
    begun = time.monotonic()
    with pytest.raises(Unavailable, match=r"no answer within 0\.3 s"):
        started.ask(deed, 0.3)
    assert time.monotonic() - begun < 3
    assert "no answer within" in started.until_ended()


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("end 3", "ended by itself with exit code 3"),
        ("end 0", "ended by itself with exit code 0"),
        ("crash", "killed by SIGSEGV"),
    ],
)
def test_spawned_that_ends_during_a_call_says_of_what(started, deed, why):
    with pytest.raises(Unavailable, match=why):
        started.ask(deed)
    with pytest.raises(Unavailable, match=why):
        started.ask("")
    assert why in started.until_ended()


def test_spawned_that_crashed_shows_where(started):
    with pytest.raises(Unavailable):
        started.ask("crash")
    started.until_ended()
    assert any("in act" in line for line in started.process.tail)


def test_spawned_that_somebody_kills_while_idle_is_noticed(started):
    os.kill(started.process.pid, signal.SIGKILL)
    assert "killed by SIGKILL, by hand or because memory ran out" in started.until_ended()


def test_spawned_that_exceeds_its_memory_during_a_call_is_killed(tmp_path):
    made = Started(tmp_path / "m", memory_bytes=200_000_000)
    assert made.process.excess == ""
    with pytest.raises(Unavailable, match="and may take 200 MB"):
        made.ask("take and keep 300")
    assert "MB of memory" in made.until_ended()


def test_spawned_takes_along_what_it_started(started):
    started.ask("fork")
    until(lambda: len(group(started.process.pid)) == 2)
    os.kill(started.process.pid, signal.SIGKILL)
    started.until_ended()
    until(lambda: group(started.process.pid) == [])


def test_spawned_that_was_stopped_while_it_is_asked(started):
    threading.Timer(0.2, started.process.stop, ["it was in the way"]).start()
    with pytest.raises(Unavailable, match="it was in the way"):
        started.ask("sleep 30")


SPEAKER = """
import socket, struct, sys, time
channel = socket.socket(fileno=int(sys.argv[1]))
channel.sendall({said})
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("struct.pack('>II', 5, 0) + b'true!'", "no answer"),
        ("struct.pack('>II', 2**31, 2**31)", "an answer of 4294967296 bytes"),
        ("struct.pack('>II', 9, 0) + b'{'", "within"),
    ],
)
def test_spawned_that_speaks_nonsense_is_killed(tmp_path, monkeypatch, said, why):
    program = tmp_path / "speaker.py"
    program.write_text(SPEAKER.format(said=said))
    monkeypatch.setattr("serinus.serving.runtimes.child.__file__", str(program))
    ends: list[str] = []
    process = Spawned(
        sys.executable,
        is_own=False,
        memory_bytes=0,
        name="speaker",
        ended=lambda _, why: ends.append(why),
    )
    with pytest.raises(Unavailable, match=why):
        process.ask(columns.message({}), 1.0)
    until(lambda: ends)


TELLER = """
import os
print("\\n".join(os.environ), "that is all", sep="\\n")
"""


def test_spawned_knows_no_secret_of_its_gateway(tmp_path, monkeypatch):
    secret = {"SERINUS_LEDGER_URL", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MLFLOW_TRACKING_URI"}
    for name in (*secret, "OMP_NUM_THREADS", "LC_ALL"):
        monkeypatch.setenv(name, "1")
    program = tmp_path / "teller.py"
    program.write_text(TELLER)
    monkeypatch.setattr("serinus.serving.runtimes.child.__file__", str(program))
    ends: list[str] = []
    process = Spawned(
        sys.executable,
        is_own=False,
        memory_bytes=0,
        name="teller",
        ended=lambda _, why: ends.append(why),
    )
    until(lambda: ends)
    known = set(bytes(process._tail).decode().splitlines())
    assert {"PATH", "OMP_NUM_THREADS", "LC_ALL", "that is all"} <= known
    assert not known & secret


PARENT = """
import sys, threading, time
from pathlib import Path
from tests.serving.runtimes.test_spawning import Started

def start():
    global made
    made = Started(Path(sys.argv[1]))

thread = threading.Thread(target=start)
thread.start()
thread.join()
# The thread that started it is gone, and it lives on.
time.sleep(0.3)
made.ask("")
print(made.process.pid, flush=True)
threading.Thread(target=made.ask, args=("spin 60", 60.0), daemon=True).start()
time.sleep(60)
"""


def test_spawned_dies_with_its_gateway_even_if_its_model_holds_the_interpreter(tmp_path):
    folder = wild.save(tmp_path / "m", wild.wild(), wild.REGRESSION)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        assert is_running(pid)
        parent.kill()
    until(lambda: not is_running(pid), 5)


def test_spawned_with_an_interpreter_that_is_not_there(tmp_path):
    with pytest.raises(InvalidInput, match="cannot be started") as caught:
        Spawned(
            str(tmp_path / "python"),
            is_own=True,
            memory_bytes=0,
            name="none",
            ended=lambda *_: None,
        )
    assert "serinus models package" in caught.value.remedy


def test_is_own_tells_environments_of_one_interpreter_apart(tmp_path):
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert is_own(str(link))
    assert not is_own(sys.executable)
