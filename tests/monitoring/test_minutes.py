from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from tests.monitoring.conftest import MODEL, START_US, Traffic

from serinus import clock
from serinus.ledger.opening import open_reader, open_writer
from serinus.monitoring import cells, minutes
from serinus.monitoring.minutes import Range
from serinus.monitoring.monitor import Monitor
from serinus.monitoring.types import Profile, Reference
from serinus.stats import bins
from serinus.store import schema
from serinus.store.engine import migrate, open_engine
from serinus.wire import Arm, Assignment, Output, Prediction

START = START_US // minutes.MINUTE_US
EVER = Range(START, START + 10_000, 0)

counts = st.lists(
    st.just(0) | st.integers(0, 300) | st.integers(0, 2**40) | st.just(2**63 - 1), max_size=80
)


@given(counts)
def test_counts_survive_as_bytes(numbers: list[int]) -> None:
    made = np.array(numbers, np.int64)
    data = minutes.encode(made)
    assert minutes.decode(data, len(made)).tolist() == numbers
    assert minutes.encode(minutes.decode(data, len(made))) == data
    assert len(data) <= 1 + 8 * len(numbers)


def test_few_counts_are_few_bytes() -> None:
    made = np.zeros(1_200, np.int64)
    assert len(minutes.encode(made)) == 1
    made[[3, 700]] = 1, 200
    assert len(minutes.encode(made)) == 7
    made[:] = 1
    assert len(minutes.encode(made)) == 1_201


def table(engine: Engine) -> list[tuple[Any, ...]]:
    found = schema.profile_minutes
    with engine.connect() as connection:
        return sorted(tuple(row) for row in connection.execute(select(found)))


def drain(monitor: Monitor, references: dict[str, Reference], limit: int = 5_000) -> None:
    while monitor.step(references, limit):
        pass


# ------------------------------------------------------------------ any cut, the same table


@pytest.fixture(scope="module")
def quick_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('minutes')}/quick.db")
    migrate(engine)
    yield engine
    engine.dispose()


towns = st.none() | st.sampled_from(["de", "fr", "xx"])
events = st.lists(
    st.tuples(st.integers(0, 200), st.floats(-4, 4) | st.none(), towns, st.integers(0, 2)),
    max_size=60,
)


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events, st.data())
def test_any_cut_into_writers_batches_and_runs_is_the_same_table(
    quick_engine: Engine,
    reference: Reference,
    tmp_path: Path,
    made: list[tuple[Any, ...]],
    data: st.DataObject,
) -> None:
    """One writer, one batch, against any order in several writers, batches and monitors."""
    whole = [
        Prediction(
            START_US + second * 1_000_000,
            Assignment(MODEL, Arm.CHAMPION, 0.0, 1),
            ("1.0.0", "1.1.0", "2.0.0")[version],
            (amount, country, None),
            Output(1, (0.3, 0.7)),
            900,
        )
        for second, amount, country, version in made
    ]
    shuffled = data.draw(st.permutations(whole))
    writers = data.draw(st.integers(1, 3))
    shards = [shuffled[number::writers] for number in range(writers)]
    tables = []
    for parts, limit, fresh in (
        ([whole], 5_000, False),
        (shards, data.draw(st.integers(1, 7)), data.draw(st.booleans())),
    ):
        ledger = tmp_path / "ledger"
        shutil.rmtree(ledger, ignore_errors=True)
        with quick_engine.begin() as connection:
            for name in schema.metadata.tables.values():
                connection.execute(name.delete())
        for part in parts:
            writer = open_writer(ledger, segment_bytes=2_000)
            for event in part:
                writer.append([event])
            writer.close()
        tables.append(folded(quick_engine, ledger, reference, limit, fresh=fresh))
    assert tables[0] == tables[1]
    assert sum(row[3] for row in tables[0]) == len(whole)


def folded(
    engine: Engine, ledger: Path, reference: Reference, limit: int, *, fresh: bool
) -> list[tuple[Any, ...]]:
    def make() -> Monitor:
        return Monitor(
            engine,
            open_reader(ledger),
            window_seconds=0.0,
            window_rows=20,
            false_alarm_windows=1_000.0,
            failing_limit=0.05,
            profile_days=100_000.0,
        )

    monitor = make()
    while monitor.step({MODEL: reference}, limit):
        if fresh:
            monitor = make()
    return table(engine)


# ------------------------------------------------------------------ with the monitor


@pytest.fixture
def watched(
    monitor_of: Callable[..., Monitor], registered: Callable[..., None], reference: Reference
) -> Callable[..., Monitor]:
    registered("1.0.0")
    registered("1.1.0", stage="None")

    def make(**options: Any) -> Monitor:
        made = monitor_of(profile_days=100_000.0, **options)
        drain(made, {MODEL: reference})
        return made

    return make


def test_minutes_sum_up_to_the_windows(
    engine: Engine, traffic: Traffic, watched: Callable[..., Monitor], reference: Reference
) -> None:
    """The two ways to cut the same cells, by the minute and by the window, agree."""
    traffic.send(230)
    traffic.send(70, version="1.1.0")
    monitor = watched(window_rows=1_000)
    whole = {item.version: item for item in monitor.profiles(MODEL, EVER)}
    assert {version: item.rows for version, item in whole.items()} == {"1.0.0": 230, "1.1.0": 70}
    with engine.connect() as connection:
        for row in connection.execute(select(schema.profiles)):
            columns = {item.name: list(item.counts) for item in whole[row.version].columns}
            assert columns == row.counts["columns"]
    by_minute = monitor.profiles(MODEL, Range(START, START + 10_000))
    assert [item.rows for item in by_minute if item.version == "1.0.0"] == [59, 60, 60, 51]
    assert by_minute[0].since == datetime(2026, 1, 1, tzinfo=UTC)
    assert by_minute[0].until - by_minute[0].since == timedelta(minutes=1)


def test_quality_of_columns_is_told(traffic: Traffic, watched: Callable[..., Monitor]) -> None:
    for features in ((1e9, "de", None), (-1e9, "xx", "new"), (None, None, None)):
        traffic.send(2, features=features)
    [found] = watched().profiles(MODEL, EVER)
    columns = {item.name: item for item in found.columns}
    amount, country = columns["amount"], columns["country"]
    assert (amount.rows, amount.missing, amount.below, amount.above) == (6, 2, 2, 2)
    assert (amount.unseen, country.below) == (None, None)
    assert (country.missing, country.unseen) == (2, 2)
    # Of a column that training had nothing in, whatever is there is no number either.
    assert (columns["note"].missing, columns["note"].unseen) == (6, None)
    assert 0 < amount.distance <= 1


def pages(monitor: Monitor, limit: int, **wanted: Any) -> list[Profile]:
    found: list[Profile] = []
    after = None
    while page := monitor.profiles(MODEL, Range(**wanted, after=after), limit):
        found += page
        after = (minutes.minute_of(page[-1].since), page[-1].version)
    return found


@pytest.mark.parametrize("step", [1, 3, 60, 0])
def test_pages_are_the_whole_at_any_resolution(
    traffic: Traffic, watched: Callable[..., Monitor], step: int
) -> None:
    for _ in range(4):
        traffic.send(90)
        traffic.send(40, version="1.1.0")
    monitor = watched()
    wanted = {"since": START + 1, "until": START + 8, "step": step}
    whole = monitor.profiles(MODEL, Range(**wanted))
    assert pages(monitor, 1, **wanted) == pages(monitor, 3, **wanted) == whole
    assert whole[0].since == minutes.moment(START + 1)
    assert whole[-1].until <= minutes.moment(START + 8)
    total = dict.fromkeys(("1.0.0", "1.1.0"), 0)
    for item in monitor.profiles(MODEL, Range(START + 1, START + 8)):
        total[item.version] += item.rows
    for version, rows in total.items():
        assert sum(item.rows for item in whole if item.version == version) == rows
        only = monitor.profiles(MODEL, Range(**wanted, version=version))
        assert only == [item for item in whole if item.version == version]


def test_versions_that_nothing_is_known_of_are_counted_by_rows(
    traffic: Traffic, watched: Callable[..., Monitor], registered: Callable[..., None]
) -> None:
    traffic.send(5, version="9.9.9")
    monitor = watched()
    [found] = monitor.profiles(MODEL, EVER)
    assert (found.version, found.rows, found.columns) == ("9.9.9", 5, ())
    registered("9.9.9", stage="None")
    traffic.send(3, version="9.9.9")
    drain(monitor, {})
    [found] = monitor.profiles(MODEL, EVER)
    assert (found.rows, found.columns[0].rows) == (8, 3)


def test_old_minutes_are_forgotten(
    engine: Engine, traffic: Traffic, monitor_of: Callable[..., Monitor], reference: Reference
) -> None:
    traffic.now = clock.epoch_us() - 3 * 86_400_000_000
    traffic.send(5)
    traffic.now = clock.epoch_us() - 3_600_000_000
    traffic.send(5)
    drain(monitor_of(profile_days=10.0), {MODEL: reference})
    assert sum(row[3] for row in table(engine)) == 10
    monitor_of(profile_days=1.0).step({MODEL: reference})
    assert sum(row[3] for row in table(engine)) == 5


def test_a_minute_is_added_to_in_its_transaction(engine: Engine, reference: Reference) -> None:
    baseline = cells.Baseline(reference)
    made = [
        Prediction(
            START_US, Assignment(MODEL, Arm.CHAMPION, 0.0, 1), "1.0.0", (0.0, "de", None),
            Output(1, (0.5, 0.5)), 900,
        )
    ] * 3  # fmt: skip
    folded_minutes = minutes.fold(made, cells.placed(made, baseline), baseline)
    for _ in range(2):
        with engine.begin() as connection:
            minutes.add(connection, folded_minutes)
    with engine.connect() as connection:
        minutes.add(connection, folded_minutes)
        connection.rollback()
    [(*_, rows, counted)] = table(engine)
    assert rows == 6
    found = minutes.decode(counted, baseline.width)
    assert found.sum() == 6 * len(baseline.bins)
    country = found[baseline.slices["country"]]
    assert bins.cells(baseline.bins["country"])[int(country.argmax())] == "de"
