"""The endless watch of failures and losses: seldom wrong, quick, and the same after a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine

from serinus.monitoring import repository, rise
from serinus.monitoring.monitor import Monitor
from serinus.monitoring.performance import Expected
from serinus.monitoring.profile import Extent
from serinus.monitoring.rise import Limit, Rise, Watched
from serinus.monitoring.traffic import Span
from serinus.monitoring.types import Action, Reference, State
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Failure

MODEL = "fraud"
YEAR = 8_760.0
START = 1_767_225_600_000_000
Make = Callable[..., Monitor]


def followed(
    held: Rise, batches: Iterable[Any], extent: Extent, windows: float, *, seconds: float = 1.0
) -> tuple[Rise, int | None]:
    """The watch behind these batches, and after how many of them it was found, if it was."""
    at = held.last_at or START
    for number, values in enumerate(batches, 1):
        span = Span(at, at + round(seconds * 1e6), len(values))
        held, at = rise.follow(held, values, span, extent, windows), span.last_at
        if held.found_at is not None:
            return held, number
    return held, None


@pytest.mark.parametrize("rate", [0.01, 0.04])
def test_rise_in_quiet_traffic_is_never_found(rate: float) -> None:
    random = np.random.default_rng(1)
    batches = (random.random(500) < rate for _ in range(4_000))
    held, found = followed(Rise(limit=Limit(0.05)), batches, Extent(500, 0.0), YEAR)
    assert found is None
    assert max(held.evidence) < np.log(YEAR)


def test_rise_at_the_very_limit_is_found_no_sooner_than_promised() -> None:
    """Batches are windows of 50 rows; traffic that fails just as often as it may."""
    random = np.random.default_rng(2)
    windows, most = 40.0, 400
    until = []
    for _ in range(60):
        batches = (random.random(50) < 0.05 for _ in range(most))
        _, found = followed(Rise(limit=Limit(0.05)), batches, Extent(50, 0.0), windows)
        until.append(found or most)
    assert np.mean(until) >= windows


@pytest.mark.parametrize(("batch", "most"), [(10, 700), (100, 800), (500, 1_000)])
def test_rise_to_three_times_the_limit_is_found_after_a_long_quiet_time(
    batch: int, most: int
) -> None:
    random = np.random.default_rng(3)
    delays = []
    for _ in range(15):
        quiet = (random.random(500) < 0.01 for _ in range(200))
        held, found = followed(Rise(limit=Limit(0.05)), quiet, Extent(500, 0.0), YEAR)
        assert found is None
        loud = (random.random(batch) < 0.15 for _ in range(20_000 // batch))
        _, found = followed(held, loud, Extent(500, 0.0), YEAR)
        assert found is not None
        delays.append(found * batch)
    assert np.median(delays) <= most


def test_rise_stands_until_evidence_speaks_against_it() -> None:
    extent = Extent(100, 0.0)
    held, found = followed(Rise(limit=Limit(0.05)), [np.ones(10)] * 100, extent, YEAR)
    assert found is not None
    # A long outage does not take as long to be over.
    for _ in range(200):
        held = rise.follow(held, np.ones(100), Span(START, START, 0), extent, YEAR)
    assert held.since is not None
    assert held.observations == held.total >= 20_000
    held = rise.follow(held, np.zeros(20), Span(START, START, 20), extent, YEAR)
    assert held.found_at is not None
    for _ in range(30):
        held = rise.follow(held, np.zeros(20), Span(START, START, 20), extent, YEAR)
    assert (held.found_at, held.since, held.observations) == (None, None, 0)


def test_rise_puts_in_no_more_capital_than_one_unit_a_window() -> None:
    """However many requests come: a window lasts an hour, too."""
    extent = Extent(500, 3_600.0)
    held, capital = Rise(limit=Limit(0.05)), 0.0
    for number in range(360):
        at = START + number * 10_000_000
        held = rise.follow(held, np.zeros(5_000), Span(at, at, 5_000), extent, YEAR)
        capital += held.due
    assert capital == pytest.approx(359 / 360)
    few = rise.follow(held, np.zeros(5), Span(at, at + 10**10, 5), extent, YEAR)
    assert few.due == 5 / 500


def test_rise_is_the_same_out_of_the_store(engine: Engine) -> None:
    random = np.random.default_rng(4)
    extent = Extent(100, 0.0)
    held = stored = Rise(limit=Limit(0.3, 2.5))
    for number in range(20):
        values = random.exponential(0.2 + number / 30, 50).tolist()
        span = Span(START + number, START + number + 1, 50)
        held = rise.follow(held, values, span, extent, YEAR)
        with engine.begin() as connection:
            stored = repository.rises(connection, MODEL, "1.0.0").get(Watched.LOSS, stored)
            stored = rise.follow(stored, values, span, extent, YEAR)
            repository.save_rise(connection, MODEL, "1.0.0", Watched.LOSS, stored)
    with reading(engine) as connection:
        assert repository.rises(connection, MODEL, "1.0.0") == {Watched.LOSS: held}
        assert repository.rises(connection, MODEL, "2.0.0") == {}
    assert held.found_at is not None
    json.dumps(msgspec.to_builtins(held), allow_nan=False)


@pytest.mark.parametrize(
    ("task", "metrics", "rows", "mean", "cap"),
    [
        ("classification", {"accuracy": 0.95}, None, 0.07, None),
        ("classification", {"accuracy": 1.0}, None, 0.02, None),
        ("classification", {"accuracy": 0.0}, None, 0.95, None),
        ("regression", {"mae": 2.0}, None, 2.2, 10.0),
        ("regression", {"mae": 2.0}, 100, 2.6, 10.0),
    ],
)
def test_loss_limit_is_what_the_test_leaves_and_a_tolerance(
    task: str, metrics: dict[str, float], rows: int | None, mean: float, cap: float | None
) -> None:
    found = rise.loss_limit(task, Expected(metrics, rows))
    assert found is not None
    assert (found.mean, found.cap) == (pytest.approx(mean), cap)
    assert rise.follow(Rise(limit=found), [0.0], Span(1, 1, 1), Extent(20, 0.0), YEAR).evidence


@pytest.mark.parametrize("metrics", [{}, {"mae": 0.0}, {"f1": 0.9}])
def test_loss_limit_without_a_test_is_none(metrics: dict[str, float]) -> None:
    assert rise.loss_limit("regression", Expected(metrics, 10)) is None
    assert rise.loss_limit("classification", Expected(metrics, 10)) is None


# ------------------------------------------------------------------ through the monitor


def fold(monitor: Monitor, reference: Reference) -> None:
    while monitor.step({MODEL: reference}, 150):
        pass


def mixed(traffic: Any, rows: int, failing: float) -> None:
    """Answers and failures of a share, in turns of fifty."""
    for _ in range(rows // 50):
        made = traffic.send(50)
        count = traffic.random.binomial(50, failing / (1 - failing))
        like = made[0][1].assignment
        traffic.writer.append(
            [Failure(traffic.now, like, made[0][1].version, "it raised", 10)] * count
        )


def test_monitor_failures_that_rise_are_told_and_are_no_reason_to_retrain(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of(false_alarm_windows=YEAR)
    mixed(traffic, 2_000, 0.02)
    fold(monitor, reference)
    assert monitor.recommendation(MODEL).action is Action.NO_ACTION_NEEDED
    rose_at = traffic.now
    mixed(traffic, 800, 0.25)
    # Read by a new monitor each time: all of the state is in the store.
    while monitor_of(false_alarm_windows=YEAR).step({MODEL: reference}, 150):
        pass
    found = monitor.recommendation(MODEL)
    assert found.action is Action.LOOK_AT_FAILURES
    assert found.state is not State.DRIFTING
    assert found.since is not None
    assert abs(found.since.timestamp() - rose_at / 1e6) <= 150
    assert "More than 5 % of the requests to version 1.0.0 fail since 2026-" in found.reasons[0]
    assert "once in 8,760 windows" in found.reasons[0]
    mixed(traffic, 1_000, 0.0)
    fold(monitor_of(false_alarm_windows=YEAR), reference)
    assert monitor.recommendation(MODEL).action is Action.NO_ACTION_NEEDED


def test_monitor_failures_alone_are_told(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of(false_alarm_windows=YEAR)
    (first, *_) = traffic.send(500)
    fold(monitor, reference)
    like = first[1].assignment
    traffic.writer.append([Failure(traffic.now, like, "1.0.0", "it raised", 10)] * 60)
    fold(monitor, reference)
    assert monitor.recommendation(MODEL).action is Action.LOOK_AT_FAILURES


def test_monitor_failures_of_the_version_before_are_not_held_against_the_next(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of(false_alarm_windows=YEAR)
    mixed(traffic, 800, 0.3)
    fold(monitor, reference)
    assert monitor.recommendation(MODEL).action is Action.LOOK_AT_FAILURES
    with engine.begin() as connection:
        connection.execute(schema.model_versions.update().values(stage="Archived"))
    registered("1.1.0")
    traffic.send(300, version="1.1.0")
    fold(monitor, msgspec.structs.replace(reference, version="1.1.0"))
    assert monitor.recommendation(MODEL).action is Action.NO_ACTION_NEEDED


def test_monitor_another_limit_begins_anew(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    mixed(traffic, 800, 0.3)
    fold(monitor_of(false_alarm_windows=YEAR), reference)
    patient = monitor_of(false_alarm_windows=YEAR, failing_limit=0.5)
    mixed(traffic, 800, 0.3)
    fold(patient, reference)
    assert patient.recommendation(MODEL).action is Action.NO_ACTION_NEEDED


@pytest.mark.parametrize("batch", [70, 5_000])
def test_monitor_loss_that_rises_slowly_asks_for_a_retraining(
    engine: Engine,
    traffic: Any,
    reference: Reference,
    monitor_of: Make,
    registered: Any,
    batch: int,
) -> None:
    registered()
    monitor = monitor_of(false_alarm_windows=YEAR)
    traffic.label(traffic.send(2_000), right=0.95)
    fold(monitor, reference)
    calm = monitor.recommendation(MODEL)
    assert calm.action is Action.NO_ACTION_NEEDED
    worse_from = traffic.now
    for _ in range(20):
        traffic.label(traffic.send(50), right=0.75)
    while monitor.step({MODEL: reference}, batch):
        pass
    with reading(engine) as connection:
        held = repository.rises(connection, MODEL, "1.0.0")[Watched.LOSS]
    assert held.found_at is not None
    assert held.since is not None
    assert abs(held.since.timestamp() - worse_from / 1e6) <= 200
    found = monitor.recommendation(MODEL)
    assert found.action is Action.RETRAIN_IMMEDIATELY
    (said,) = [reason for reason in found.reasons if reason.startswith("By ")]
    assert "% of the answers are wrong: above 8" in said
    assert "which its test and a tolerance leave" in said


def test_monitor_error_of_a_regression_that_rises_asks_for_a_retraining(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered(task="regression", metrics={"mae": 0.1})
    numbers = msgspec.structs.replace(reference, task="regression", metrics={"mae": 0.1})
    monitor = monitor_of(false_alarm_windows=YEAR)
    for spread, rows in ((0.12, 1_000), (0.4, 300)):
        made = traffic.send(rows)
        truth = [it.output.value + spread * traffic.random.normal() for _, it in made]
        traffic.label(made, right=[*truth[:-1], "no number"])
        fold(monitor, numbers)
        found = monitor.recommendation(MODEL)
        told = any("the mean absolute error is" in reason for reason in found.reasons)
        assert told is (spread > 0.2), found.reasons
