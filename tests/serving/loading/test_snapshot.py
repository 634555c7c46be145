"""Which route a request is for, and what is said where there is none."""

from __future__ import annotations

import asyncio

import pytest
from tests.serving import scripted

from serinus.errors import InvalidInput, NotFound, Unavailable
from serinus.serving.asking.breaker import Circuit
from serinus.serving.loading.snapshot import Asleep, Snapshot


def live(**more):
    return scripted.live_route(scripted.lane("1", scripted.saying(1)), **more)


def test_snapshot_finds_a_route_by_name_and_the_only_one_without():
    async def scenario():
        one, two = live(), live()
        alone = Snapshot(1, {"a": one})
        both = Snapshot(1, {"a": one, "b": two})
        assert alone.find(None) is alone.find("a") is both.find("a") is one
        assert both.find("b") is two
        assert (alone.serves_several, both.serves_several) == (False, True)
        with pytest.raises(InvalidInput, match="names none") as caught:
            both.find(None)
        assert caught.value.remedy == "Name one of: a, b."
        with pytest.raises(NotFound, match="no model 'c'"):
            both.find("c")

    asyncio.run(scenario())


def test_snapshot_says_who_has_to_be_woken():
    async def scenario():
        snapshot = Snapshot(1, {"a": live()}, asleep=frozenset({"b"}))
        assert snapshot.serves_several
        with pytest.raises(Asleep) as caught:
            snapshot.find("b")
        assert caught.value.model == "b"

    asyncio.run(scenario())


def test_snapshot_means_no_model_for_being_the_one_that_is_awake():
    async def scenario():
        snapshot = Snapshot(1, {"a": live()}, asleep=frozenset({"b"}))
        with pytest.raises(InvalidInput, match="names none") as caught:
            snapshot.find(None)
        assert caught.value.remedy == "Name one of: a, b."
        with pytest.raises(InvalidInput, match="names none"):
            Snapshot(1, asleep=frozenset({"a", "b"})).find(None)
        for more in ({"loading": ("b@1",)}, {"failed": {"b@1": "it is gone"}}):
            with pytest.raises(InvalidInput, match="names none"):
                Snapshot(1, {"a": live()}, **more).find(None)
        served = live()
        assert Snapshot(1, {"a": served}, loading=("a@2",)).find(None) is served
        with pytest.raises(Asleep) as woken:
            Snapshot(1, asleep=frozenset({"b"})).find(None)
        assert woken.value.model == "b"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("more", "model", "why"),
    [
        ({}, None, "no model is being served"),
        ({}, "a", "no model is being served"),
        ({"loading": ("a@1",)}, None, "the model is being loaded"),
        ({"loading": ("a@1",)}, "a", "the model is being loaded"),
        ({"loading": ("a@1",)}, "b", "no model is being served"),
        ({"failed": {"a@1": "broken"}}, None, "no model is being served"),
        ({"failed": {"a@1": "broken"}}, "a", "the model cannot be loaded"),
    ],
    ids=["nothing", "named", "loads", "named_loads", "another_loads", "failed", "named_failed"],
)
def test_snapshot_without_a_route_says_why(more, model, why):
    with pytest.raises(Unavailable) as caught:
        Snapshot(1, **more).find(model)
    assert caught.value.what == why


def test_snapshot_tells_of_the_circuits_that_are_not_closed():
    async def scenario():
        challenger = scripted.lane("2", scripted.saying(1))
        champion = scripted.lane("1", scripted.saying(1))
        snapshot = Snapshot(1, {"numbers": scripted.live_route(champion, challenger)})
        assert snapshot.circuits == {}
        for circuit in (Circuit.OPEN, Circuit.HALF_OPEN):
            challenger.breaker.circuit = circuit
            assert snapshot.circuits == {"numbers@2": circuit.value}

    asyncio.run(scenario())
