"""One look serves all watchers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import event
from tests.api.running import MODEL, Faces

from serinus import clock
from serinus.app.lookout import Lookout
from serinus.client.watching import Glance
from serinus.delivery.experiments import measuring, repository
from serinus.delivery.records import deployments, looks
from serinus.delivery.types import Outcome, Verdict
from serinus.registry.types import Stage


@pytest.fixture
def canary(faces: Faces) -> tuple[Faces, str]:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.5], min_requests=10)
    faces.report("1.0.0", "1.1.0")
    return faces, begun.id


def lookout(faces: Faces) -> Lookout:
    return Lookout(faces.app.engine, faces.app.delivery.worker_seconds)


def again(look: Lookout) -> None:
    """The next tick."""
    look._looked = -1e9
    look.look()


def test_status_changes_its_number_only_when_it_changes(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    look = lookout(faces)
    with look.watching(begun):
        look.look()
        first = look.status(begun)
        assert first is not None
        again(look)
        assert look.status(begun, after=first.number) is None
        faces.traffic(100, 100, failures=60)
        again(look)
        second = look.status(begun, after=first.number)
    assert second is not None
    assert (first.live, second.live) == (True, False)
    assert json.loads(second.data)["deployment"]["phase"] == "rolled_back"


def test_glances_are_those_that_live_and_those_that_end(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    look = lookout(faces)
    with look.watching(None):
        look.look()
        (first,) = look.glances()
        assert look.glances(after=first.number) == look.glances(model="other") == []
        faces.app.delivery.abort(begun, actor="ann", reason="enough")
        again(look)
        (last,) = look.glances(after=first.number)
        assert look.glances() == []
    told = json.loads(last.data)
    assert (told["phase"], told["reason"], last.live) == ("aborted", "enough", False)
    assert set(told) == set(Glance.__struct_fields__)
    assert told["steps"] == ["50 %", "all traffic"]
    assert (json.loads(first.data)["shares"], told["shares"]) == ({"1.1.0": 0.5}, {"1.1.0": 0.0})


def test_every_challenger_is_told_with_its_share_and_who_was_dropped(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    for version in ("1.1.0", "1.2.0"):
        faces.register(version)
    with faces.client as client:
        begun = client.start_experiment(MODEL, "1.1.0", others=["1.2.0"], split=["20%", 0.3])
        assert "fraud@1.1.0, 1.2.0" in begun.reason
        faces.report("1.0.0", "1.1.0", "1.2.0")
        look = lookout(faces)
        with look.watching(None):
            look.look()
            before = msgspec.json.decode(look.glances()[0].data, type=Glance)
            _drop(faces, begun.id, "1.2.0")
            again(look)
            after = msgspec.json.decode(look.glances()[0].data, type=Glance)
        moves = list(client.history(begun.id))
    assert before.shares == {"1.1.0": pytest.approx(0.2), "1.2.0": pytest.approx(0.3)}
    assert before.versions == "1.1.0 20 %, 1.2.0 30 %"
    assert after.versions == "1.1.0 20 %, 1.2.0 out"
    assert after.dropped == {"1.2.0": "Errors doubled."}
    assert [move.reason for move in moves if "dropped" in move.reason] == [
        "1.2.0 was dropped: Errors doubled."
    ]


def _drop(faces: Faces, experiment: str, version: str) -> None:
    """As the controller writes it down."""
    with faces.app.engine.begin() as connection:
        found = deployments.get(connection, experiment)
        place = found.challengers.index(version)
        state = repository.load(connection, experiment) or measuring.begin(connection, found)
        shares = tuple(0.0 if at == place else part for at, part in enumerate(state.shares))
        state = replace(state, shares=shares, dropped={place: "Errors doubled."})
        repository.save(connection, experiment, state, clock.now())
        part = msgspec.structs.replace(found, id=found.comparison(place), challenger=version)
        verdict = Verdict(Outcome.ROLLBACK, "Errors doubled.", 10, 0.05, ())
        looks.add(connection, [(part, verdict, 1)], clock.now())
    faces.app.delivery.tables.publish()


def test_nobody_watching_keeps_nothing(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    look = lookout(faces)
    with look.watching(begun), look.watching(None):
        look.look()
    again(look)
    assert look.status(begun) is None
    assert look.glances() == []


def test_a_hundred_watchers_cost_one_look(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    look = lookout(faces)
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    async def watch(number: int) -> bytes:
        with look.watching(begun if number % 2 else None):
            await look.fresh()
            found = look.status(begun) if number % 2 else look.glances()[0]
            assert found is not None
            return found.data

    async def crowd(size: int) -> set[bytes]:
        return set(await asyncio.gather(*(watch(number) for number in range(size))))

    event.listen(faces.app.engine, "before_cursor_execute", note)
    counts = []
    for size in (2, 100):
        look._looked = -1e9
        statements.clear()
        assert len(asyncio.run(crowd(size))) <= 2
        counts.append(len(statements))
        look._turn = asyncio.Lock()
    event.remove(faces.app.engine, "before_cursor_execute", note)
    # Those who came meanwhile want no older look: at most one more.
    assert counts[1] <= 2 * counts[0] + 4
