"""Requests that are answered as a whole, in a service of the test's own loop."""

from __future__ import annotations

import asyncio

import pytest
from tests.serving import scripted

from serinus import wire
from serinus.errors import Conflict, SerinusError, Unavailable
from serinus.ledger import ids
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.serving import answering
from serinus.serving.service import Service
from serinus.serving.telling.board import Board
from serinus.serving.types import GatewayOptions

ROWS = [(float(index), 0.0, 0.0, 0.0) for index in range(3)]


async def asked(tmp_path, live, **more):
    """What a request of three rows is told, and what was recorded of it."""
    options = GatewayOptions(routing_table=tmp_path / "r.json", ledger=tmp_path / "ledger")
    writer = Writer(options.ledger, segment_bytes=10**6)
    service = Service(options, writer, asyncio.get_running_loop(), board=Board(), slot=0)
    told = []
    try:
        answering.ask(service, live(), ROWS, told.append, **more)
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.001)
    finally:
        writer.close()
    [found] = told
    return found, list(Reader(options.ledger).scan())


def by_share(share, **more):
    """A champion that says 0 and a challenger that says 1."""
    return lambda: scripted.live_route(
        scripted.lane("1", scripted.saying(0)),
        scripted.lane("2", scripted.saying(1)),
        share=share,
        **more,
    )


def test_ask_answers_each_row_and_records_it(tmp_path):
    found, records = asyncio.run(asked(tmp_path, by_share(0.0)))
    assert [row.prediction for row in found] == [0, 0, 0]
    assert [row.prediction_id for row in found] == [ids.encode(r.id) for r in records]
    assert [record.event.features for record in records] == ROWS


def test_ask_of_an_arm_or_an_entity_goes_there_with_all_rows(tmp_path):
    found, records = asyncio.run(asked(tmp_path / "arm", by_share(0.0), demand=wire.Arm.CHALLENGER))
    assert [row.version for row in found] == ["2", "2", "2"]
    assert {record.event.assignment.deployment for record in records} == {""}
    found, records = asyncio.run(
        asked(tmp_path / "entity", by_share(0.5, unit="entity"), entity="ann")
    )
    assert len({row.version for row in found}) == 1
    assert {r.event.assignment.unit for r in records} == {records[0].event.assignment.unit} != {0}


def test_ask_of_a_model_that_fails_one_row_names_it(tmp_path):
    def answer(rows):
        return ["broken" if row[0] == 1.0 else wire.Output(0) for row in rows]

    lane = scripted.Scripted(answer)
    found, records = asyncio.run(
        asked(tmp_path, lambda: scripted.live_route(scripted.lane("1", lane)))
    )
    assert isinstance(found, Unavailable)
    assert (found.where, found.status) == ("row 1", 503)
    assert "broken" in found.what
    # The others were predicted all the same.
    kinds = [type(record.event) for record in records]
    assert kinds.count(wire.Failure) == 1
    assert kinds.count(wire.Prediction) == 2


def test_ask_for_a_challenger_that_there_is_none_of(tmp_path):
    def alone():
        return scripted.live_route(scripted.lane("1", scripted.saying(0)))

    with pytest.raises(Conflict):
        asyncio.run(asked(tmp_path, alone, demand=wire.Arm.CHALLENGER))


def test_ask_tells_of_its_own_fault_instead_of_never(tmp_path):
    told = []

    async def scenario():
        options = GatewayOptions(routing_table=tmp_path / "r.json", ledger=tmp_path / "ledger")
        writer = Writer(options.ledger, segment_bytes=10**6)
        service = Service(options, writer, asyncio.get_running_loop(), board=Board(), slot=0)

        def answered(found):
            told.append(found)
            if not isinstance(found, Exception):
                raise SerinusError("it cannot be told")

        live = scripted.live_route(scripted.lane("1", scripted.saying(0)))
        answering.ask(service, live, ROWS, answered)
        async with asyncio.timeout(5):
            while len(told) < 2:
                await asyncio.sleep(0.001)
        writer.close()

    asyncio.run(scenario())
    assert isinstance(told[1], SerinusError)


def test_predicted_of_a_row_without_an_answer_is_a_fault_of_ours():
    async def scenario():
        live = scripted.live_route(scripted.lane("1", scripted.saying(0)))
        with pytest.raises(RuntimeError):
            answering.predicted(scripted.row(live))
        row = scripted.row(live)
        row.failure, row.answered_by = "ValueError: why", live.champion
        document = answering.failed(row)
        assert document["status"] == 503
        assert "ValueError: why" in document["detail"]
        assert (document["version"], document["revision"]) == ("1", 5)

    asyncio.run(scenario())
