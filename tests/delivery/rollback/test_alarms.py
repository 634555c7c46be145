"""Champions that leave their own range."""

from __future__ import annotations

import pytest
from tests.delivery.rollback.simulation import CRITERIA, HARMS, SOUND, Health, Traffic

from serinus.delivery.rollback import bands
from serinus.delivery.rollback.alarms import KEPT, Sentry
from serinus.delivery.rollback.types import Cause


def sentry(traffic: Traffic) -> Sentry:
    before = traffic.stretches(SOUND, -3_000, 120, 1.0)
    return Sentry("1.0.0", bands.bands(before, CRITERIA), 0)


def watch(traffic: Traffic, found: Sentry, health: Health, start: int, number: int) -> int | None:
    """How many stretches it took to an alarm, if there was one."""
    for step, stretch in enumerate(traffic.stretches(health, start, number, 1.0)):
        found.see(start + 10 * step, stretch)
        if found.alarm() is not None:
            return step + 1
    return None


@pytest.mark.parametrize("cause", ["errors", "latency", "quality"])
def test_alarm_comes_within_a_minute_of_harm_and_says_since_when(cause: Cause) -> None:
    for seed in range(5):
        traffic = Traffic(seed)
        found = sentry(traffic)
        assert watch(traffic, found, SOUND, 0, 40) is None
        took = watch(traffic, found, HARMS[cause], 400, 12)
        assert took is not None
        assert took <= 6
        alarm = found.alarm()
        assert alarm is not None
        assert alarm.cause == cause
        assert 320 <= alarm.since <= 460


def test_alarm_is_not_raised_in_hours_of_sound_traffic() -> None:
    for seed in range(3):
        traffic = Traffic(100 + seed)
        assert watch(traffic, sentry(traffic), SOUND, 0, 200) is None


def test_alarm_is_not_raised_by_another_mix_of_answers() -> None:
    traffic = Traffic(7, labels=0.0)
    assert watch(traffic, sentry(traffic), HARMS["answers"], 0, 60) is None


def test_see_keeps_what_may_belong_to_a_harm_and_takes_late_labels_in() -> None:
    traffic = Traffic(1)
    found = sentry(traffic)
    stretches = traffic.stretches(SOUND, 0, 100, 1.0)
    for step, stretch in enumerate(stretches):
        found.see(10 * step, stretch)
    assert sorted(found.recent) == [10 * step for step in range(100 - KEPT, 100)]
    found.see(990, stretches[0])
    assert found.recent[990] is stretches[0]
