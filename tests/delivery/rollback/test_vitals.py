"""Signs of life in the store."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import Engine, func, select
from tests.delivery import samples
from tests.delivery.rollback.test_service import requests
from tests.delivery.samples import answered

from serinus import clock
from serinus.delivery.records import deployments
from serinus.delivery.rollback import vitals
from serinus.delivery.rollback.counts import Counts, Key
from serinus.delivery.rollback.repository import Routed
from serinus.delivery.rollback.types import Seen
from serinus.delivery.types import DeploymentSpec
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Arm, Assignment

NOW = 1_800_000_000


def some(requests: int) -> Counts:
    return Counts(requests=requests, answered=requests, latency={100: requests})


def rows(engine: Engine) -> dict[tuple[str, int, int], int]:
    """Requests by version, start and width."""
    whole = clock.from_epoch_us((NOW - 10**7) * 10**6), clock.from_epoch_us((NOW + 10**6) * 10**6)
    with reading(engine) as connection:
        found = vitals.stretches(connection, "fraud", *whole)
    return {(item.version, item.start, item.seconds): item.counts.requests for item in found}


def test_add_adds_to_what_is_there(engine: Engine) -> None:
    more = {Key("fraud", "1.0.0", NOW, 10): some(3), Key("fraud", "1.1.0", NOW, 10): some(1)}
    for _ in range(2):
        with engine.begin() as connection:
            vitals.add(connection, more)
    assert rows(engine) == {("1.0.0", NOW, 10): 6, ("1.1.0", NOW, 10): 2}


def test_stretches_lie_wholly_between_two_times(engine: Engine) -> None:
    with engine.begin() as connection:
        vitals.add(
            connection, {Key("fraud", "1.0.0", NOW + 10 * step, 10): some(1) for step in range(4)}
        )
        since, until = (clock.from_epoch_us((NOW + at) * 10**6) for at in (1, 30))
        found = vitals.stretches(connection, "fraud", since, until)
    assert [item.start - NOW for item in found] == [10, 20]


def test_tidy_makes_blocks_of_old_buckets_and_forgets_old_blocks(engine: Engine) -> None:
    present = NOW + 300
    starts = [present - vitals.FINE_SECONDS - 3_600 + 10 * step for step in range(360 + 60)]
    block = (NOW - vitals.KEPT_SECONDS - 7_200) // 600 * 600
    with engine.begin() as connection:
        vitals.add(connection, {Key("fraud", "1.0.0", start, 10): some(1) for start in starts})
        vitals.add(connection, {Key("fraud", "1.0.0", block, 600): some(1)})
        assert not vitals.tidy(connection, present)
    found = rows(engine)
    assert sum(found.values()) == len(starts)
    fine = [start for _, start, seconds in found if seconds == 10]
    assert min(fine) >= present - vitals.FINE_SECONDS - vitals.BLOCK_SECONDS
    assert {seconds for _, start, seconds in found if start < min(fine)} == {600}
    with engine.begin() as connection:
        vitals.tidy(connection, present)
    assert rows(engine) == found


@pytest.mark.parametrize(("age", "width"), [(0, 10), (7_000, 10), (7_300, 600)])
def test_place_is_wider_the_longer_ago_it_was(age: int, width: int) -> None:
    at = vitals.place("fraud", "1.0.0", (NOW - age) * 10**6, NOW)
    assert (at.seconds, at.start % width) == (width, 0)
    assert at.start <= NOW - age < at.start + width


def test_absorb_forgets_what_is_too_old_to_be_kept(engine: Engine) -> None:
    present = clock.now()
    old = present.timestamp() - vitals.KEPT_SECONDS - 60
    records = [(b"", event) for event in requests("1.0.0", old, 1)]
    records += [(b"", event) for event in requests("1.0.0", present.timestamp() - 1, 1)]
    with engine.begin() as connection:
        vitals.Vitals()(connection, records, [], present)
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(schema.vitals)).scalar_one() <= 2


def test_seen_counts_answers_under_the_new_table_and_the_last_one_of_another() -> None:
    watched = {"fraud": Routed("r1", "1.0.0", 7, 5_000)}

    def answer(version: str, revision: int, at: int) -> object:
        return answered(Assignment("fraud", Arm.CHAMPION, 0.0, revision), at=at, version=version)

    events = [
        answer("1.0.0", 7, 6_000),
        answer("1.0.0", 6, 6_000),
        answer("1.1.0", 6, 4_000),
        answer("1.1.0", 6, 7_000),
        answer("1.1.0", 8, 6_500),
        answered(Assignment("risk", Arm.CHAMPION, 0.0, 9), at=9_000, version="3.0.0"),
    ]
    assert vitals.seen(events, watched) == {"fraud": Seen(1, 1, 7_000)}  # type: ignore[arg-type]


def test_seen_is_no_business_of_the_staging_endpoint_nor_of_testers() -> None:
    watched = {"fraud": Routed("r1", "1.0.0", 7, 5_000)}
    aside = [
        Assignment("fraud", Arm.STAGING, 0.0, 8),
        Assignment("fraud", Arm.CHALLENGER, 0.0, 8),
        Assignment("fraud", Arm.CHALLENGER, 0.25, 8),
    ]
    events = [answered(assignment, at=6_000, version="1.1.0") for assignment in aside]
    assert vitals.seen(events, watched) == {"fraud": Seen()}


@pytest.mark.parametrize("live", [True, False], ids=["live", "ended"])
@pytest.mark.parametrize("own", ["1.1.0", "1.2.0"], ids=["before", "crowned"])
def test_absorb_books_each_challengers_failures_to_its_own_version(
    engine: Engine, own: str, live: bool
) -> None:
    spec = DeploymentSpec(
        model="fraud", challenger="1.1.0", strategy="ab_test", others=("1.2.0",), min_hours=1e-6
    )
    begun = samples.deployment(spec, challenger=own)
    present = clock.now()
    at = clock.to_epoch_us(present)
    drawn = [
        Assignment("fraud", arm, 0.5, 3, "d1", 0, 0, variant, (0.2, 0.3))
        for arm, variant in ((Arm.CHALLENGER, 0), (Arm.CHALLENGER, 1), (Arm.CHAMPION, 0))
    ]
    records = [(b"", answered(item, at=at, version="1.0.0", fallback="no")) for item in drawn]
    with engine.begin() as connection:
        deployments.add(connection, begun)
        vitals.Vitals()(connection, records, [begun] if live else [], present)
        until = clock.from_epoch_us(at + 60 * 10**6)
        since = clock.from_epoch_us(at - 60 * 10**6)
        found = vitals.stretches(connection, "fraud", since, until)
    failures = Counter({item.version: item.counts.failures for item in found})
    # In the soak, where the champion is the crowned one, another answers in its place.
    assert +failures == Counter(["1.1.0", "1.2.0", own])
