from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from serinus import clock
from serinus.processes.loop import Loop


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends the test's loops."""
    event = threading.Event()
    yield event
    event.set()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    deadline = clock.monotonic() + 10
    while not condition():
        assert clock.monotonic() < deadline
        clock.sleep(0.005)


def test_loop_rests_longer_while_idle_and_wakes_up(stop: threading.Event) -> None:
    at: list[float] = []
    busy = threading.Event()

    def step() -> bool:
        at.append(clock.monotonic())
        return busy.is_set()

    loop = Loop("test", step, stop, shortest=0.01, longest=0.08)
    loop.start()
    eventually(lambda: len(at) >= 7)
    pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert pauses[0] < 0.05
    assert min(pauses[4:6]) >= 0.08
    busy.set()
    seen = len(at)
    eventually(lambda: len(at) >= seen + 5)
    assert at[-1] - at[-2] < 0.07


def test_loop_goes_on_after_a_fault_and_says_so_meanwhile(stop: threading.Event) -> None:
    failing = threading.Event()
    failing.set()
    passes: list[int] = []

    def step() -> bool:
        passes.append(1)
        if failing.is_set():
            raise RuntimeError("the store is away")
        return False

    loop = Loop("test", step, stop, shortest=0.01, longest=0.02)
    assert loop.part().status == "failing"
    loop.start()
    eventually(lambda: "the store is away" in loop.part().detail)
    assert loop.part().status == "failing"
    failing.clear()
    eventually(lambda: loop.part().status == "ok")


def test_loop_ends_with_the_stop(stop: threading.Event) -> None:
    loop = Loop("test", lambda: False, stop, shortest=0.01, longest=30.0)
    loop.start()
    stop.set()
    loop.join(5)

    assert loop.part().detail == "it does not run"


def test_loop_makes_its_first_pass_at_once_and_another_when_it_is_woken(
    stop: threading.Event,
) -> None:
    passes: list[float] = []

    def step() -> bool:
        passes.append(clock.monotonic())
        return False

    loop = Loop("test", step, stop, shortest=30.0, longest=30.0)
    loop.start()
    eventually(lambda: len(passes) == 1)
    woken = clock.monotonic()
    loop.wake()
    eventually(lambda: len(passes) == 2)
    assert passes[1] - woken < 5
    stop.set()
    loop.join(5)
    assert loop.part().detail == "it does not run"
