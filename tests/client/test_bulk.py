"""Labels by the thousand, against a real server that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.client.desks import Desk, Reply

from serinus.client import AsyncSerinus, Serinus, bulk
from serinus.client.predictions import Sent, Told, Untold
from serinus.errors import InvalidInput, NotFound, Unavailable


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Desk() as made:
        yield made


def told(count: int, first: int = 0) -> list[Told]:
    return [Told(f"{place:032x}", place % 2) for place in range(first, first + count)]


def names(items: list[Told]) -> list[str]:
    return [item.prediction_id for item in items]


def client(desk: Desk) -> Serinus:
    return Serinus(gateway_url=desk.url)


def test_bulk_sends_everything_in_requests_of_a_size(desk: Desk) -> None:
    seen: list[Sent] = []
    items = [*told(10), Told("f" * 32, value=2.5)]
    with client(desk) as serinus:
        sent = serinus.feedback_many(iter(items), rows=4, progress=seen.append)
    assert sent == Sent(settled=11, accepted=11, refused=0)
    assert sorted(item["prediction_id"] for item in desk.taken) == sorted(names(items))
    assert {"prediction_id": "f" * 32, "value": 2.5} in desk.taken
    assert sorted(desk.bodies) == [3, 4, 4]
    assert [now.settled for now in seen] == [4, 8, 11]


def test_bulk_waits_as_long_as_it_is_told_and_tries_again(desk: Desk) -> None:
    def script(labels: list[dict[str, Any]], turn: int) -> Reply | None:
        if turn <= 2:
            return 503, {"detail": "busy"}, {"retry-after": "1"}
        return (429, {}, {}) if turn == 3 else None

    desk.script = script
    with client(desk) as serinus:
        sent = serinus.feedback_many(told(3), patience_seconds=20)
    assert sent == Sent(3, 3, 0)
    assert desk.bodies == [3] * 4


def test_bulk_gives_up_when_patience_is_over_and_says_how_far_it_came(desk: Desk) -> None:
    def script(labels: list[dict[str, Any]], turn: int) -> Reply | None:
        refused = any(item["prediction_id"] == f"{7:032x}" for item in labels)
        return (503, {"detail": "the disk is full"}, {}) if refused else None

    desk.script = script
    seen: list[Sent] = []
    with client(desk) as serinus, pytest.raises(Unavailable, match="the disk is full"):
        serinus.feedback_many(told(20), rows=5, patience_seconds=0.3, progress=seen.append)
    assert seen[-1] == Sent(5, 5, 0)
    desk.script = lambda labels, turn: None
    with client(desk) as serinus:
        sent = serinus.feedback_many(told(15, 5), rows=5, first=5)
    assert sent == Sent(20, 15, 0)
    assert {item["prediction_id"] for item in desk.taken} == set(names(told(20)))


def test_bulk_names_the_items_that_were_refused(desk: Desk) -> None:
    def script(labels: list[dict[str, Any]], turn: int) -> Reply | None:
        bad = [at for at, item in enumerate(labels) if item.get("label") == "bad"]
        faults = [{"index": at, "error": {"detail": "no", "remedy": "Do."}} for at in bad]
        if not bad:
            return None
        if len(bad) == len(labels):
            return 422, {"detail": "no", "rejected": faults}, {}
        return 202, {"accepted": len(labels) - len(bad), "rejected": faults}, {}

    desk.script = script
    items: list[Told | Untold] = list(told(9))
    items[1] = Untold(0, "x", "y", None, "it is unreadable")
    for place in (3, 4, 5, 8):
        items[place] = Told(f"{place:032x}", "bad")
    refused: list[Untold] = []
    with client(desk) as serinus:
        sent = serinus.feedback_many(items, rows=3, first=100, refused=refused.append)
    assert sent == Sent(109, 4, 5)
    assert [item.place for item in refused] == [101, 103, 104, 105, 108]
    assert [item.reason for item in refused] == ["it is unreadable", *["no. Do."] * 4]
    assert refused[1].prediction_id == f"{3:032x}"


def test_bulk_of_one_that_is_refused(desk: Desk) -> None:
    desk.script = lambda labels, turn: (404, {"detail": "none", "where": "prediction_id"}, {})
    refused: list[Untold] = []
    with client(desk) as serinus:
        assert serinus.feedback_many(told(1), refused=refused.append) == Sent(1, 0, 1)
    assert [item.reason for item in refused] == ["none"]


def test_bulk_halves_what_is_too_much(desk: Desk) -> None:
    def script(labels: list[dict[str, Any]], turn: int) -> Reply | None:
        if len(labels) > 8:
            return 413, {"detail": "too large"}, {}
        return (422, {"detail": "too many", "where": "labels"}, {}) if len(labels) > 3 else None

    desk.script = script
    with client(desk) as serinus:
        assert serinus.feedback_many(told(30), rows=30) == Sent(30, 30, 0)
    assert {item["prediction_id"] for item in desk.taken} == set(names(told(30)))


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (422, InvalidInput)])
def test_bulk_ends_at_what_is_no_fault_of_an_item(desk: Desk, status: int, kind: Any) -> None:
    desk.script = lambda labels, turn: (status, {"detail": "there is nothing here"}, {})
    with client(desk) as serinus, pytest.raises(kind, match="nothing here"):
        serinus.feedback_many(told(5))


def test_bulk_interrupted_waits_for_what_is_under_way(desk: Desk) -> None:
    seen: list[Sent] = []

    def interrupt(now: Sent) -> None:
        seen.append(now)
        if now.settled == 10:
            raise KeyboardInterrupt

    with client(desk) as serinus, pytest.raises(KeyboardInterrupt):
        serinus.feedback_many(told(1_000), rows=5, progress=interrupt)
    assert seen[-1].settled >= 10
    done = {item["prediction_id"] for item in desk.taken}
    assert set(names(told(seen[-1].settled))) <= done
    assert len(done) < 100


def test_bulk_without_a_gateway() -> None:
    with Serinus(gateway_url="http://127.0.0.1:9") as serinus, pytest.raises(Unavailable):
        serinus.feedback_many(told(3), patience_seconds=0.2)


async def asynchronously(desk: Desk) -> Sent:
    async with AsyncSerinus(gateway_url=desk.url) as serinus:
        return await serinus.feedback_many(told(12), rows=5)


def test_bulk_awaited(desk: Desk) -> None:
    assert asyncio.run(asynchronously(desk)) == Sent(12, 12, 0)


@pytest.fixture(scope="module")
def one_desk() -> Iterator[Desk]:
    with Desk() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_FIRST_PAUSE", 0.001)
        yield made


@hypothesis_settings(max_examples=25)
@given(
    st.integers(0, 60),
    st.integers(1, 20),
    st.integers(1, 4),
    st.sets(st.integers(1, 40), max_size=6),
)
def test_bulk_settles_each_item_once_whatever_fails(
    one_desk: Desk, count: int, rows: int, connections: int, failing: set[int]
) -> None:
    one_desk.taken.clear()
    one_desk.bodies.clear()
    one_desk.script = lambda labels, turn: (
        (503, {"detail": "no"}, {"retry-after": "0"}) if turn in failing else None
    )
    seen: list[Sent] = []
    with client(one_desk) as serinus:
        sent = serinus.feedback_many(
            told(count), rows=rows, connections=connections, progress=seen.append
        )
    assert sent == Sent(count, count, 0)
    assert sorted(item["prediction_id"] for item in one_desk.taken) == names(told(count))
    assert [now.settled for now in seen] == sorted(now.settled for now in seen)
