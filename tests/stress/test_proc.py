from __future__ import annotations

import os
import subprocess
import sys
import time

from serinus.stress import proc

WAIT = "import sys; sys.stdin.read()"


def test_children_and_their_words_while_they_are_there() -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT, "here"], stdin=subprocess.PIPE) as child:
        assert child.pid in proc.children(os.getpid())
        deadline = time.monotonic() + 10
        # At first it is a copy of this process, which has yet to become another program.
        while "here" not in proc.words(child.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.communicate()
    assert child.pid not in proc.children(os.getpid())
    assert proc.words(child.pid) == []
    assert proc.memory(child.pid) == 0


def test_memory_grows_with_what_is_kept() -> None:
    before = proc.memory(os.getpid())
    kept = bytearray(os.urandom(30_000_000))
    assert proc.memory(os.getpid()) - before > 25_000_000
    assert len(kept) == 30_000_000
