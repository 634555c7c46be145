"""Parts of a running installation are found, killed, and come back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from serinus.demo import installation
from serinus.demo.installation import Installation
from serinus.stress import strikes

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    running = installation.start(
        tmp_path_factory.mktemp("strikes") / "home", "gateway_workers = 2\n"
    )
    yield running
    running.stop()


def other_than(system: Installation, part: strikes.Part, before: list[int]) -> list[int]:
    """The processes of a part once as many are there as before, without one of these."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        now = strikes.find(system, part)
        if len(now) == len(before) and not set(now) & set(before):
            return now
        time.sleep(0.05)
    raise AssertionError(f"{part}: {before} became {now}")


def test_parts_are_found_killed_and_come_back(system: Installation) -> None:
    workers = strikes.find(system, "gateway worker")
    assert [len(strikes.find(system, part)) for part in strikes.PARTS] == [2, 1, 1, 1, 6]
    assert strikes.strike(system, "gateway worker", random.Random(0)) == 1
    deadline = time.monotonic() + 30
    while len(set(strikes.find(system, "gateway worker")) & set(workers)) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    control = strikes.find(system, "control")
    assert strikes.strike(system, "control") == 1
    other_than(system, "control", control)
    assert not strikes.revive(system)


def test_an_installation_without_its_head_is_started_again(system: Installation) -> None:
    before = strikes.find(system, "everything")
    assert strikes.strike(system, "up") == 1
    system.process.wait(10)
    assert strikes.find(system, "control") == []
    assert strikes.revive(system)
    assert not set(strikes.find(system, "everything")) & set(before)
    assert strikes.answers(system)
