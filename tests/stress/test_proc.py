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
    # In a process of its own: a heap that has freed as much before would not have to grow.
    keep = "import sys; sys.stdin.readline(); kept = b'a' * 30_000_000; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", keep], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        before = proc.memory(child.pid)
        child.stdin.write("\n")
        child.stdin.flush()
        child.stdout.readline()
        assert proc.memory(child.pid) - before > 25_000_000
        child.communicate("\n")
