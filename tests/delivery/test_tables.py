"""Who serves what, noted and carried, on both databases."""

from __future__ import annotations

import msgspec
import pytest
from tests.delivery.conftest import World

from serinus.delivery.rollback.service import Rollbacks
from serinus.registry.types import Stage
from serinus.wire import RoutingTable


def published(world: World) -> RoutingTable:
    return msgspec.json.decode(world.table.read_bytes(), type=RoutingTable)


@pytest.fixture
def champion(world: World) -> World:
    """An installation with 1.0.0 in production."""
    world.register("1.0.0", stage=Stage.PRODUCTION)
    return world


def test_carry_brings_the_newest_table_and_makes_none(champion: World) -> None:
    tables = champion.delivery.tables
    tables.carry()
    assert not champion.table.exists()
    noted = tables.publish()
    champion.table.unlink()
    tables.carry()
    assert published(champion) == noted
    assert champion.delivery.routing() == noted


def test_publish_restores_a_table_that_was_lost(champion: World) -> None:
    champion.delivery.tables.publish()
    before = published(champion)
    champion.table.unlink()
    champion.delivery.tables.publish()
    assert published(champion) == before


def test_publish_overtakes_what_gateways_know_of_an_earlier_store(champion: World) -> None:
    old = RoutingTable(57, {})
    champion.table.write_bytes(msgspec.json.encode(old))
    table = champion.delivery.tables.publish()
    assert table.revision == 58
    assert published(champion) == table
    assert champion.delivery.tables.publish() == table


def test_moves_overtake_what_gateways_know_of_an_earlier_store(champion: World) -> None:
    """Restored under a process that goes on: what it remembers of the file does not mislead it."""
    champion.delivery.tables.publish()
    champion.table.write_bytes(msgspec.json.encode(RoutingTable(57, {})))
    champion.delivery.tables.publisher.publish(champion.delivery.routing())
    assert champion.delivery.tables.publish().revision == 58
    champion.table.write_bytes(msgspec.json.encode(RoutingTable(90, {})))
    Rollbacks(champion.delivery).set_default("fraud", 0, actor="ann", reason="")
    assert published(champion).revision >= 91
    assert published(champion).routes["fraud"].default == 0
