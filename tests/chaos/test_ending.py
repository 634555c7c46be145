"""A proof that is told to stop leaves neither processes nor folders behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from serinus import clock
from serinus.chaos import ending

pytestmark = pytest.mark.timeout(120)
_SECONDS = 60.0


def test_a_proof_that_is_stopped_leaves_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    words = ["-m", "serinus", "chaos", "clock", "--seeds", "1"]
    # Near the root: sockets with long paths cannot be.
    folder = Path(tempfile.mkdtemp(prefix="end-"))
    request.addfinalizer(lambda: shutil.rmtree(folder, ignore_errors=True))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = clock.monotonic() + _SECONDS
    # Amid a batch: a control process runs, and has told so.
    while not list(folder.glob("*/*_calm/passes")):
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert clock.monotonic() < deadline
        clock.sleep(0.02)
    process.terminate()
    assert process.wait(_SECONDS) == 128 + signal.SIGTERM
    while members := _session(process.pid):
        assert clock.monotonic() < deadline, members
        clock.sleep(0.02)
    assert [found.name for found in folder.iterdir() if found.name.startswith("serinus")] == []


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_the_second_signal_does_not_disturb_the_end(first: signal.Signals) -> None:
    tidied = []

    def be_told_twice() -> None:
        with ending.orderly():
            try:
                os.kill(os.getpid(), first)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                tidied.append(True)

    with pytest.raises(SystemExit) as ended:
        be_told_twice()
    assert ended.value.code == 128 + first
    assert tidied
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _session(leader: int) -> list[int]:
    """The processes of a session that live; those of other sessions were started by none of it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Behind the name, which may hold anything: the state, and fourth the session.
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] not in "ZX":
                found.append(int(path.parent.name))
    return found
