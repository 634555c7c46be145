"""What a thread waits for on a busy machine is told apart from what it does by itself."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import pytest

from serinus.serving.asking import runqueue

pytestmark = pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(), reason="this kernel tells nothing of it"
)


def busy(seconds: float) -> None:
    worked = time.thread_time()
    while time.thread_time() - worked < seconds:
        pass


def test_waited_is_each_threads_own_and_never_falls() -> None:
    before, found = runqueue.waited_seconds(), []

    def other() -> None:
        # A thread that has just begun has not waited for as long as this one.
        found.append(runqueue.waited_seconds())

    busy(0.01)
    threads = [threading.Thread(target=other) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert runqueue.waited_seconds() >= before
    assert all(0.0 <= waited < 5.0 for waited in found)


def test_waited_leaves_no_file_open_of_a_thread_that_ended() -> None:
    def open_files() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir()))

    runqueue.waited_seconds()
    # Each is alive while the next one begins, as those of a server are.
    together, before, found = threading.Barrier(21), open_files(), []

    def asking() -> None:
        found.append(runqueue.waited_seconds())
        together.wait(30)
        together.wait(30)

    threads = [threading.Thread(target=asking) for _ in range(20)]
    for thread in threads:
        thread.start()
    together.wait(30)
    assert open_files() == before + 20
    together.wait(30)
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert open_files() == before


def test_waited_is_what_others_on_the_core_took() -> None:
    """Two processes that share one core each wait for the other."""
    core = min(os.sched_getaffinity(0))
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {core})
        while True:
            pass
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
        started, waited = time.perf_counter(), runqueue.waited_seconds()
        busy(0.1)
        spent = time.perf_counter() - started
        waited = runqueue.waited_seconds() - waited
        assert waited > 0.02
        assert waited == pytest.approx(spent - 0.1, abs=0.03)
        # To sleep is no waiting for a core.
        waited = runqueue.waited_seconds()
        os.kill(child, 9)
        os.waitpid(child, 0)
        child = 0
        time.sleep(0.05)
        assert runqueue.waited_seconds() - waited < 0.05
    finally:
        os.sched_setaffinity(0, allowed)
        if child:
            os.kill(child, 9)
            os.waitpid(child, 0)


def test_waited_of_a_forked_process_is_its_own() -> None:
    busy(0.05)
    mine = runqueue.waited_seconds()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = Path("/proc/thread-self/schedstat").read_text().split()[1]
        os.write(writing, f"{runqueue.waited_seconds()} {int(told) / 1e9}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    asked, told = map(float, os.read(reading, 100).decode().split())
    for end in (reading, writing):
        os.close(end)
    assert asked == pytest.approx(told, abs=0.05)
    assert mine >= 0.0
