"""Second answers that wait for each other in the store."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from serinus.delivery.records import halves
from serinus.delivery.records.halves import WAIT_SECONDS
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.delivery.verdicts.pairs import Flip, Halves
from serinus.store import schema

LATE = round(WAIT_SECONDS * 1e6) + 1


def join(engine: Engine, deployment: str, *new: Halves) -> Evidence:
    found = ev.EMPTY
    for one in new:
        with engine.begin() as connection:
            found += halves.join(connection, deployment, one)
    return found


def waiting(engine: Engine, deployment: str) -> int:
    table = schema.awaiting
    here = select(func.count()).select_from(table).where(table.c.deployment == deployment)
    with engine.begin() as connection:
        return int(connection.execute(here).scalar_one())


def one(
    challenger: dict[bytes, bool] | None = None, clone: dict[bytes, bool] | None = None, at: int = 5
) -> Halves:
    return Halves(
        {key: Flip(at, 0.0, differs) for key, differs in (challenger or {}).items()},
        {key: Flip(at, 0.0, differs) for key, differs in (clone or {}).items()},
    )


@pytest.mark.parametrize("clone_first", [True, False])
def test_join_meets_in_any_order_and_once(engine: Engine, clone_first: bool) -> None:
    parts = [one({b"a": True, b"b": False}), one(clone={b"a": False})]
    found = join(engine, "d1", *(parts[::-1] if clone_first else parts))
    assert found.tables[Measure.PAIR_FLOOR][0.0].tolist()[1] == [0, 0, 1]
    assert waiting(engine, "d1") == 1
    assert join(engine, "d1", one(clone={b"b": False})).total(Measure.PAIR_FLOOR, level=0) == 1
    assert waiting(engine, "d1") == 0


def test_join_keeps_deployments_apart(engine: Engine) -> None:
    assert join(engine, "d1", one({b"a": True})) == ev.EMPTY
    assert join(engine, "d2", one(clone={b"a": True})) == ev.EMPTY
    assert join(engine, "d1", one(clone={b"a": True})).total(Measure.PAIR_FLOOR, level=3) == 1


def test_join_drops_what_never_met(engine: Engine) -> None:
    join(engine, "d1", one({bytes([n]): True for n in range(200)}))
    assert waiting(engine, "d1") == 200
    join(engine, "d1", one({b"new": True}, at=5 + LATE))
    assert waiting(engine, "d1") == 1


def test_join_of_nothing_asks_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        assert halves.join(connection, "d1", Halves()) is ev.EMPTY


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), flips=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_join_in_any_order_and_batches_gives_the_same(
    engine: Engine, data: st.DataObject, flips: list[tuple[bool, bool]]
) -> None:
    told = [
        (bytes([number]), is_clone, pair[is_clone])
        for number, pair in enumerate(flips)
        for is_clone in (False, True)
    ]
    parts: list[Halves] = []
    for key, is_clone, differs in data.draw(st.permutations(told)):
        if not parts or data.draw(st.booleans()):
            parts.append(Halves())
        half = parts[-1].clone if is_clone else parts[-1].challenger
        half[key] = Flip(5, 0.0, differs)
    whole = one(
        {bytes([n]): pair[0] for n, pair in enumerate(flips)},
        {bytes([n]): pair[1] for n, pair in enumerate(flips)},
    )
    within = ev.EMPTY
    for part in parts:
        within += ev.count(part.join())
    found = within + join(engine, "d1", *parts)
    assert found == ev.count(whole.join())
    assert waiting(engine, "d1") == 0
