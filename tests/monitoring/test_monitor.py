from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from serinus.monitoring import repository
from serinus.monitoring.monitor import Monitor
from serinus.monitoring.types import OUTPUT, Action, Reference, State
from serinus.stats import bins
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Arm, Assignment, Failure, Value, WorkerStatus

MODEL = "fraud"
Make = Callable[..., Monitor]


def fold(monitor: Monitor, reference: Reference | None, limit: int = 5_000) -> int:
    references = {} if reference is None else {MODEL: reference}
    total = 0
    while done := monitor.step(references, limit):
        total += done
    return total


def windows(engine: Engine, version: str = "1.0.0") -> list[Any]:
    query = (
        select(schema.profiles)
        .where(schema.profiles.c.version == version)
        .order_by(schema.profiles.c.window)
    )
    with reading(engine) as connection:
        return list(connection.execute(query))


# ------------------------------------------------------------------ windows


def test_monitor_windows_have_every_row_once(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    made = traffic.send(250)
    traffic.writer.append(
        [
            Failure(traffic.now, made[0][1].assignment, "1.0.0", "it raised", 10),
            WorkerStatus(traffic.now, "w", 1, (), {}),
        ]
    )
    assert fold(monitor_of(), reference) == 252
    found = windows(engine)
    assert [row.rows for row in found] == [100, 100, 50]
    assert [row.closed_at is None for row in found] == [False, False, True]
    for row in found:
        columns = row.counts["columns"]
        assert list(columns) == ["amount", "country", "note", OUTPUT]
        assert all(sum(counts) == row.rows for counts in columns.values())
    amounts = [item.features[0] for _, item in made]
    made_bins = bins.from_dict(reference.profile["features"]["amount"]["bins"])
    total = np.sum([row.counts["columns"]["amount"] for row in found], axis=0)
    assert total.tolist() == bins.count(made_bins, amounts).tolist()


def test_monitor_what_is_asked_of_a_version_in_staging_is_nothing_to_it(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    traffic.label(traffic.send(150))
    monitor = monitor_of()
    fold(monitor, reference)
    before = windows(engine), monitor.performance_history(MODEL)
    apart = Assignment(MODEL, Arm.STAGING, 0.0, 1)
    asked = [msgspec.structs.replace(item, assignment=apart) for _, item in traffic.made[:120]]
    made = list(zip(traffic.writer.append(asked), asked, strict=True))
    traffic.writer.append([Failure(traffic.now, apart, "1.0.0", "it raised", 10)] * 50)
    traffic.label(made)
    assert fold(monitor, reference) == 290
    assert (windows(engine), monitor.performance_history(MODEL)) == before
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(schema.labels)).scalar() == 150


def test_monitor_windows_same_however_events_are_batched(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    """One monitor that reads all at once, and a new one for each few events."""
    traffic.send(330)
    first = monitor_of(window_seconds=70.0, window_rows=50)
    fold(first, reference)
    expected, drift = windows(engine), first.drift_history(MODEL)
    with engine.begin() as connection:
        for table in (schema.profiles, schema.drift_windows, schema.ledger_offsets):
            connection.execute(table.delete())
    for _ in range(50):
        monitor_of(window_seconds=70.0, window_rows=50).step({MODEL: reference}, 7)
    assert windows(engine) == expected
    assert first.drift_history(MODEL) == drift
    assert [row.rows for row in expected] == [71, 71, 71, 71, 46]


def test_monitor_window_needs_rows_and_seconds(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    traffic.send(500)
    fold(monitor_of(window_seconds=1e6, window_rows=20), reference)
    assert [row.rows for row in windows(engine)] == [500]
    traffic.now += 10**12
    traffic.send(1)
    fold(monitor_of(window_seconds=1e6, window_rows=20), reference)
    assert [(row.rows, row.closed_at is None) for row in windows(engine)] == [(501, False)]


def test_monitor_late_events_count_into_the_open_window(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    monitor = monitor_of()
    traffic.send(120)
    fold(monitor, reference)
    traffic.now -= 100 * 1_000_000
    traffic.send(30)
    fold(monitor, reference)
    assert [row.rows for row in windows(engine)] == [100, 50]


def test_monitor_every_version_that_answers_has_a_profile(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    monitor = monitor_of()
    for _ in range(10):
        traffic.send(20)
        traffic.send(10, version="1.1.0")
    fold(monitor, reference)
    assert sum(row.rows for row in windows(engine, "1.1.0")) == 100
    assert {window.version for window in monitor.drift_history(MODEL)} == {"1.0.0"}


def test_monitor_version_with_other_inputs_only_its_answers_count(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    traffic.send(10, version="2.0.0", features=(1.0,))
    fold(monitor_of(), reference)
    columns = windows(engine, "2.0.0")[0].counts["columns"]
    assert sum(columns[OUTPUT]) == 10
    assert sum(columns["amount"]) == 0


def test_monitor_new_version_in_production_begins_anew(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    monitor = monitor_of()
    traffic.send(150)
    traffic.send(50, version="1.1.0")
    fold(monitor, reference)
    follower = msgspec.structs.replace(reference, version="1.1.0")
    traffic.send(150, version="1.1.0")
    fold(monitor, follower)
    found = windows(engine, "1.1.0")
    assert [(row.rows, row.counts["reference"]) for row in found] == [
        (50, "1.0.0"),
        (100, "1.1.0"),
        (50, "1.1.0"),
    ]
    assert [(row.version, row.window) for row in monitor.drift_history(MODEL)] == [
        ("1.1.0", 1),
        ("1.0.0", 0),
    ]


def test_monitor_hostile_values_abort_nothing(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    traffic.send(100, features=("text", 1e308, float("nan")))
    traffic.send(100, features=(float("inf"), True, 7))
    fold(monitor_of(), reference)
    assert [row.rows for row in windows(engine)] == [100, 100]


def test_monitor_model_without_reference_is_not_profiled(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    traffic.send(200)
    assert fold(monitor_of(), None) == 200
    assert windows(engine) == []
    empty = msgspec.structs.replace(reference, profile={})
    traffic.send(200)
    monitor = monitor_of()
    fold(monitor, empty)
    assert [row.rows for row in windows(engine)] == [100, 100]
    assert monitor.drift_history(MODEL) == []


# ------------------------------------------------------------------ exactly once


def test_monitor_crash_before_the_commit_loses_and_doubles_nothing(
    engine: Engine,
    traffic: Any,
    reference: Reference,
    monitor_of: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monitor = monitor_of()
    traffic.send(150)
    fold(monitor, reference)
    traffic.send(150)
    with monkeypatch.context() as patch:
        patch.setattr("serinus.ledger.consumer.save_offsets", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            monitor.step({MODEL: reference})
    assert [row.rows for row in windows(engine)] == [100, 50]
    fold(monitor, reference)
    assert [row.rows for row in windows(engine)] == [100, 100, 100]


def test_monitor_is_due_until_it_has_read_everything(
    traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    monitor = monitor_of()
    assert monitor.is_due()
    fold(monitor, reference)
    assert not monitor.is_due()
    traffic.send(1)
    assert monitor.is_due()
    fold(monitor, reference)
    assert not monitor.is_due()


def test_monitors_two_at_once_count_each_event_once(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    traffic.send(700)

    def work() -> None:
        monitor = monitor_of()
        for _ in range(40):
            monitor.step({MODEL: reference}, 50)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fold(monitor_of(), reference)
    assert [row.rows for row in windows(engine)] == [100] * 7
    assert len(monitor_of().drift_history(MODEL)) == 7


# ------------------------------------------------------------------ drift


def test_monitor_shift_is_found_told_once_and_explained(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of(false_alarm_windows=2_000.0)
    assert monitor.recommendation(MODEL).state is State.CALIBRATING
    traffic.send(12 * 100)
    fold(monitor, reference)
    early = monitor.recommendation(MODEL)
    assert (early.action, early.state) == (Action.NO_ACTION_NEEDED, State.CALIBRATING)
    assert any("12 of 30" in reason for reason in early.reasons)
    traffic.send(38 * 100)
    fold(monitor, reference)
    calm = monitor.recommendation(MODEL)
    assert (calm.action, calm.state, calm.since, calm.alarm) == (
        Action.NO_ACTION_NEEDED,
        State.WATCHING,
        None,
        None,
    )
    shifted_at = traffic.now
    # A new monitor goes on where the last one stopped.
    monitor = monitor_of(false_alarm_windows=2_000.0)
    traffic.send(20 * 100, shift=1.5)
    fold(monitor, reference)
    history = monitor.drift_history(MODEL)
    alarms = [window.window for window in history if window.alarm]
    assert len(history) == 70
    assert len(alarms) == 1
    assert 50 <= alarms[0] <= 58
    found = monitor.recommendation(MODEL)
    assert (found.action, found.state) == (Action.RETRAIN_SOON, State.DRIFTING)
    assert found.alarm == f"fraud/1.0.0/{alarms[0]}"
    assert found.since is not None
    assert abs(found.since.timestamp() - shifted_at / 1e6) <= 300
    text = "\n".join(found.reasons)
    assert "amount moved" in text
    assert "The model's own answer moved" in text
    assert "country" not in text
    assert "in training" in text


def test_monitor_drift_stands_until_another_version_is_in_production(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of(false_alarm_windows=50.0)
    traffic.send(40 * 100)
    traffic.send(20 * 100, shift=2.0)
    fold(monitor, reference)
    assert monitor.recommendation(MODEL).state is State.DRIFTING
    with engine.begin() as connection:
        connection.execute(schema.model_versions.update().values(stage="Archived"))
    registered("1.1.0")
    assert monitor.recommendation(MODEL).state is State.CALIBRATING


def test_monitor_recommendation_of_an_unknown_model_is_none(monitor_of: Make) -> None:
    found = monitor_of().recommendation("zebra")
    assert (found.action, found.state) == (Action.NO_ACTION_NEEDED, State.IDLE)


# ------------------------------------------------------------------ performance


def test_monitor_labels_count_once_and_where_their_prediction_was_made(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of()
    made = traffic.send(250)
    traffic.label(made[:150], right=1.0)
    fold(monitor, reference)
    traffic.label(made[100:220], right=0.0)
    traffic.label(made[100:220], right=0.0)
    fold(monitor, reference)
    found = monitor.performance_history(MODEL)
    assert [(row.window, row.rows) for row in found] == [(2, 20), (1, 100), (0, 100)]
    assert [row.measures[0].value for row in found] == [0.0, 0.5, 1.0]
    measure = found[1].measures[0]
    assert (measure.name, measure.test) == ("accuracy", 0.95)
    assert measure.low < 0.5 < measure.high
    assert [row.closed_at is None for row in found] == [True, False, False]
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(schema.labels)).scalar() == 220


def test_monitor_labels_order_of_arrival_changes_nothing(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of()
    made = traffic.send(300)
    traffic.random.shuffle(made)  # type: ignore[arg-type]
    truth = [int(item.at % 3 == 0) for _, item in made]
    for start in range(0, 300, 50):
        traffic.label(made[start : start + 50], right=truth[start : start + 50])
        fold(monitor, reference)
    by_window: dict[int, list[bool]] = {0: [], 1: [], 2: []}
    for place, (_, item) in enumerate(traffic.made):
        by_window[place // 100].append(int(item.at % 3 == 0) == item.output.value)
    found = {row.window: row.measures[0].value for row in monitor.performance_history(MODEL)}
    assert found == {window: np.mean(right) for window, right in by_window.items()}


def test_monitor_worse_than_its_test_retrain_immediately(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered()
    monitor = monitor_of()
    traffic.label(traffic.send(300), right=0.95)
    fold(monitor, reference)
    assert monitor.recommendation(MODEL).action is Action.NO_ACTION_NEEDED
    worse_from = traffic.now
    traffic.label(traffic.send(300), right=0.6)
    fold(monitor, reference)
    found = monitor.recommendation(MODEL)
    assert found.action is Action.RETRAIN_IMMEDIATELY
    assert found.alarm is None
    assert "clearly worse than 0.95 in its test" in found.reasons[0]
    assert found.since is not None
    assert found.since.timestamp() >= worse_from / 1e6


def test_monitor_regression_has_errors_with_intervals(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make, registered: Any
) -> None:
    registered(task="regression", metrics={"mae": 0.1})
    numbers = msgspec.structs.replace(reference, task="regression")
    monitor = monitor_of()
    made = traffic.send(120)
    errors = traffic.random.normal(scale=2.0, size=119).tolist()
    truth = [item.output.value + error for (_, item), error in zip(made, errors, strict=False)]
    traffic.label(made, right=[*truth, "not a number"])
    fold(monitor, numbers)
    mae, rmse = monitor.performance_history(MODEL)[-1].measures
    assert (mae.name, rmse.name) == ("mae", "rmse")
    assert mae.value == pytest.approx(np.abs(errors[:100]).mean())
    assert rmse.value == pytest.approx(np.sqrt(np.square(errors[:100]).mean()))
    assert 0 <= mae.low < mae.value < mae.high
    assert monitor.performance_history(MODEL)[0].rows == 19
    assert monitor.recommendation(MODEL).action is Action.RETRAIN_IMMEDIATELY


def test_repository_assignment_of_an_unknown_version_has_no_facts(
    engine: Engine, registered: Any
) -> None:
    registered()
    with reading(engine) as connection:
        assert list(repository.version_facts(connection, MODEL)) == ["1.0.0"]
        assert repository.version_facts(connection, MODEL, "9.9.9") == {}
        assert repository.version_facts(connection, "zebra") == {}


def test_monitor_business_values_are_nothing_to_it(
    engine: Engine, traffic: Any, reference: Reference, monitor_of: Make
) -> None:
    made = traffic.send(20)
    traffic.writer.append(
        [
            Value(traffic.now, id_, 12.5, item.at, item.assignment, item.version)
            for id_, item in made
        ]
    )
    monitor = monitor_of()
    assert fold(monitor, reference) == 40
    assert [row.rows for row in windows(engine)] == [20]
    assert monitor.performance_history(MODEL) == []
