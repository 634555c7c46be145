from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update
from tests.monitoring.conftest import Traffic as Sent

from serinus import clock
from serinus.monitoring import traffic
from serinus.monitoring.monitor import Monitor
from serinus.monitoring.traffic import Span, Traffic
from serinus.monitoring.types import Reference
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Arm, Assignment, Failure, Output, Prediction

MODEL = "fraud"
HOUR = 3_600_000_000
Make = Callable[..., Monitor]
ASSIGNMENT = Assignment("m", Arm.CHAMPION, 0.0, 1)


def made(latencies: list[int], at: int = 5) -> Traffic:
    return traffic.answered(
        [
            Prediction(at + place, ASSIGNMENT, "1", (), Output(1), latency)
            for place, latency in enumerate(latencies)
        ]
    )


@given(
    st.lists(st.integers(1, 10**8), min_size=1, max_size=60), st.sampled_from([0.05, 0.5, 0.95, 1])
)
def test_quantile_is_within_a_bin_of_the_true_one(latencies: list[int], level: float) -> None:
    found = traffic.quantile_ms(made(latencies).latency, level)
    true = np.quantile(latencies, level, method="inverted_cdf") / 1e3
    assert found is not None
    assert true / 1.1893 <= found <= true * 1.1893


@pytest.mark.parametrize("latency", [-5, 0, 1, 2**40, 2**62])
def test_latency_of_any_size_has_a_bin(latency: int) -> None:
    held = made([latency])
    assert held.answered == 1
    assert traffic.quantile_ms(held.latency, 0.5) is not None


def test_quantile_of_no_answers_is_none() -> None:
    assert traffic.quantile_ms(traffic.nothing(3).latency, 0.5) is None


@given(st.lists(st.lists(st.integers(1, 10**6), min_size=1), min_size=1, max_size=4))
def test_traffic_adds_up_and_survives_json(parts: list[list[int]]) -> None:
    total = sum((made(part) for part in parts), traffic.nothing(0))
    whole = made([latency for part in parts for latency in part])
    assert total.latency.tolist() == whole.latency.tolist()
    failed = traffic.with_failures(total, [3, 900, 4])
    assert (failed.failed, failed.last_at) == (3, 900)
    back = traffic.from_dict(json.loads(json.dumps(traffic.to_dict(failed))), 0)
    assert traffic.to_dict(back) == traffic.to_dict(failed)


def test_traffic_of_a_window_from_before_it_was_counted_is_none() -> None:
    assert traffic.to_dict(traffic.from_dict(None, 7)) == traffic.to_dict(traffic.nothing(7))


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(100, 200, 50), 50.0),
        (Span(0, 200, 50), 25.0),
        (Span(150, 250, 50), 25.0),
        (Span(0, 400, 80), 20.0),
        (Span(0, 90, 50), 0.0),
        (Span(300, 400, 50), 0.0),
        (Span(150, 150, 3), 3.0),
        (Span(99, 99, 3), 0.0),
        (Span(150, 140, 3), 3.0),
    ],
)
def test_within_counts_the_part_that_lies_within(span: Span, expected: float) -> None:
    assert traffic.within([span], 100, 200) == expected
    assert traffic.within([span, span], 100, 200) == 2 * expected


# ------------------------------------------------------------------ in the monitor


@pytest.fixture
def sent(request: pytest.FixtureRequest) -> Sent:
    """The gateway's side of the ledger."""
    found: Sent = request.getfixturevalue("traffic")
    return found


def fold(monitor: Monitor, reference: Reference) -> None:
    while monitor.step({MODEL: reference}):
        pass


def windows(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        query = select(schema.profiles.c.counts).order_by(schema.profiles.c.window)
        return list(connection.execute(query).scalars())


def failures(sent: Sent, times: list[int], version: str = "1.0.0") -> None:
    like = Assignment(MODEL, Arm.CHAMPION, 0.0, 1)
    sent.writer.append([Failure(at, like, version, "it raised", 10) for at in times])


def test_observed_is_what_came_and_how_it_was_answered(
    sent: Sent, reference: Reference, monitor_of: Make, registered: Callable[..., None]
) -> None:
    registered()
    sent.now = start = clock.epoch_us() - HOUR
    made = sent.send(390)
    failures(sent, [item.at + 1 for _, item in made[::39]])
    sent.label(made[:200], 0.9)
    monitor = monitor_of()
    fold(monitor, reference)

    found = monitor.observed(MODEL, "1.0.0")

    assert found is not None
    assert found.requests == 400
    assert found.seconds == pytest.approx((clock.epoch_us() - start) / 1e6, abs=30)
    assert found.error_rate == 10 / 400
    assert found.p50_ms == pytest.approx(0.9, rel=0.19)
    assert found.p95_ms == pytest.approx(0.9, rel=0.19)
    assert found.labelled == 1.0  # two windows of 100 have labels, the others none yet
    assert found.loss == pytest.approx(0.1, abs=0.07)


def test_observed_looks_back_no_further_than_asked(
    sent: Sent, reference: Reference, monitor_of: Make
) -> None:
    now = clock.epoch_us()
    sent.now = now - 30 * HOUR
    sent.send(100)
    # One open window over the last hours: a request a second for 100 s, and again 10 hours on.
    sent.now = now - 15 * HOUR
    sent.send(50)
    sent.now = now - 5 * HOUR
    sent.send(49)
    monitor = monitor_of()
    fold(monitor, reference)

    day, half = (monitor.observed(MODEL, "1.0.0", hours=hours) for hours in (24, 10))

    assert (day.requests, round(day.seconds / 3600)) == (99, 15)  # type: ignore[union-attr]
    assert half.requests == pytest.approx(99 / 2, abs=2)  # type: ignore[union-attr]
    assert half.seconds == pytest.approx(36_000)  # type: ignore[union-attr]
    assert monitor.observed(MODEL, "1.0.0", hours=4) is None
    assert monitor.observed("nobody", "1.0.0") is None


def test_observed_counts_the_model_and_judges_the_version(
    sent: Sent, reference: Reference, monitor_of: Make
) -> None:
    sent.now = clock.epoch_us() - HOUR
    sent.send(60)
    sent.send(30, version="1.1.0")
    failures(sent, [sent.now] * 10, "1.1.0")
    failures(sent, [sent.now], "9.9.9")  # of no window: nothing answered
    monitor = monitor_of()
    fold(monitor, reference)

    champion, challenger, unknown = (
        monitor.observed(MODEL, version) for version in ("1.0.0", "1.1.0", "9.9.9")
    )

    assert {found.requests for found in (champion, challenger, unknown)} == {100}  # type: ignore[union-attr]
    assert champion.error_rate == 0  # type: ignore[union-attr]
    assert challenger.error_rate == 0.25  # type: ignore[union-attr]
    assert unknown.error_rate is None  # type: ignore[union-attr]
    assert (champion.labelled, champion.loss) == (None, None)  # type: ignore[union-attr]


def test_failures_same_however_events_are_batched(
    engine: Engine, sent: Sent, reference: Reference, monitor_of: Make
) -> None:
    """Failures between windows, within them, and alone in their batch."""
    for _ in range(7):
        for rows in (20, 15):
            sent.send(rows)
            failures(sent, [sent.now + 1, sent.now + 2])
    fold(monitor_of(window_rows=50), reference)
    expected = windows(engine)
    assert sum(counts["traffic"]["failed"] for counts in expected) == 28
    for limit in (1, 4, 36):
        with engine.begin() as connection:
            for table in (schema.profiles, schema.drift_windows, schema.ledger_offsets):
                connection.execute(table.delete())
        monitor = monitor_of(window_rows=50)
        while monitor.step({MODEL: reference}, limit):
            pass
        assert windows(engine) == expected


def test_window_from_before_traffic_was_counted_goes_on(
    engine: Engine, sent: Sent, reference: Reference, monitor_of: Make
) -> None:
    sent.now = clock.epoch_us() - HOUR
    sent.send(40)
    fold(monitor_of(), reference)
    [counts] = windows(engine)
    before = {name: part for name, part in counts.items() if name != "traffic"}
    with engine.begin() as connection:
        connection.execute(update(schema.profiles).values(counts=before))
    sent.send(40)
    failures(sent, [sent.now] * 10)
    monitor = monitor_of()
    fold(monitor, reference)

    found = monitor.observed(MODEL, "1.0.0")

    assert found is not None
    assert (found.requests, found.error_rate) == (90, 10 / 50)
