import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serinus.bench import usage
from serinus.errors import Unavailable

BUSY = "import time\nwhile time.process_time() < {}: pass\nprint('done', flush=True)\ninput()"


@pytest.fixture
def child():
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY.format(0.3)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield process
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def test_usage_of_a_child(child):
    assert child.pid in usage.children(os.getpid())
    assert child.stdout.readline() == b"done\n"
    assert 0.29 <= usage.cpu_seconds([child.pid]) < 1.5
    assert usage.cpu_seconds([child.pid, child.pid]) > 0.5


def test_memory_grows_with_what_is_held():
    before = usage.memory(os.getpid())
    held = bytearray(os.urandom(50_000_000))
    after = usage.memory(os.getpid())
    assert after.rss - before.rss == pytest.approx(len(held), rel=0.2)
    assert 0 < after.pss <= after.rss


def test_usage_of_a_process_that_has_ended():
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait(10)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and Path(f"/proc/{done.pid}").exists():
        time.sleep(0.01)
    for ask in (usage.children, usage.memory, lambda pid: usage.cpu_seconds([pid])):
        with pytest.raises(Unavailable, match="does not tell"):
            ask(done.pid)
