"""Requests that wait: the same whichever half is read first, settled in their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from serinus.delivery.records import awaiting
from serinus.store import schema
from serinus.store.engine import open_engine


def key(number: int) -> bytes:
    return bytes([number]) * 16


def asked(*numbers: int) -> dict[bytes, tuple[int, Any]]:
    return {key(number): (number * 100, number) for number in numbers}


def told(answers: Mapping[int, int]) -> dict[bytes, tuple[int, Any]]:
    return {key(number): (number * 100, answer) for number, answer in answers.items()}


def taken(connection: Connection, kind: str = "label", given_up: int = 0) -> list[tuple[int, Any]]:
    first = awaiting.first(connection, "d1", kind, given_up)
    pages = awaiting.settled(connection, "d1", kind, first)
    return [
        (row.predicted_at // 100, awaiting.answer_of(row.outcome)) for page in pages for row in page
    ]


def test_settled_are_those_before_the_first_that_waits(engine: Engine) -> None:
    with engine.begin() as connection:
        awaiting.add(connection, "d1", "label", asked(1, 2, 3, 4), told({1: 1, 2: 0, 4: 1}))
        assert awaiting.first(connection, "d1", "label") == (300, key(3))
        assert taken(connection) == [(1, 1), (2, 0)]
        assert taken(connection) == []
        assert taken(connection, given_up=300) == [(3, None), (4, 1)]
        assert awaiting.first(connection, "d1", "label") is None


def test_orphans_wait_for_their_requests_and_are_dropped_by_age(engine: Engine) -> None:
    with engine.begin() as connection:
        awaiting.add(connection, "d1", "label", {}, told({1: 1, 2: 1, 3: 1}))
        assert (taken(connection), awaiting.oldest_orphan(connection, "d1")) == ([], 100)
        awaiting.add(connection, "d1", "label", asked(1), {})
        assert awaiting.oldest_orphan(connection, "d1") == 200
        assert awaiting.drop_orphans(connection, "d1", 300) == 1
        assert awaiting.oldest_orphan(connection, "d1") == 300
        assert taken(connection) == [(1, 1)]


def test_forget_and_rename_keep_to_their_kind(engine: Engine) -> None:
    with engine.begin() as connection:
        for kind in ("label", "experiment"):
            awaiting.add(connection, "d1", kind, asked(1), told({1: 1}))
        awaiting.rename(connection, "d1", "d2", all_but="experiment")
        awaiting.forget(connection, ["d1", "d2"], "value")
        assert taken(connection) == []
        assert taken(connection, "experiment") == [(1, 1)]
        awaiting.rename(connection, "d2", "d1", all_but="experiment")
        awaiting.forget(connection, ["d1"])
        assert taken(connection) == []


def test_settled_pages_lose_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaiting, "_PAGE", 3)
    numbers = range(1, 8)
    with engine.begin() as connection:
        answers = dict.fromkeys(numbers, 1)
        awaiting.add(connection, "d1", "label", asked(*numbers), told(answers))
        assert taken(connection) == [(number, 1) for number in numbers]


@pytest.fixture(scope="module")
def quick() -> Iterator[Engine]:
    engine = open_engine("sqlite://")
    schema.metadata.create_all(engine)
    yield engine
    engine.dispose()


@given(data=st.data())
def test_what_was_read_in_any_order_settles_the_same(quick: Engine, data: st.DataObject) -> None:
    """The first outcome of each counts, wherever a batch was cut and whichever half came first."""
    events = [(number, None) for number in range(1, 5)]
    events += [(n, n % 2) for n in data.draw(st.lists(st.integers(1, 5), unique=True))]
    mixed: list[tuple[int, int | None]] = data.draw(st.permutations(events))
    with quick.begin() as connection:
        for number, answer in mixed:
            if answer is None:
                awaiting.add(connection, "d1", "label", asked(number), {})
            else:
                awaiting.add(connection, "d1", "label", {}, told({number: answer}))
                awaiting.add(connection, "d1", "label", {}, told({number: 9}))
        answers = dict(event for event in events if event[1] is not None)
        found = taken(connection, given_up=10**6)
        awaiting.forget(connection, ["d1"])
    assert found == [(number, answers.get(number)) for number in range(1, 5)]
