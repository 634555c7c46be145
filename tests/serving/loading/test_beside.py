"""Clones and versions in Staging, really loaded, in the memory that production leaves."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import msgspec
import pytest
from tests.serving import scripted
from tests.serving.conftest import route

from serinus.errors import Unavailable
from serinus.serving.asking.lanes import Lane, LaneApart
from serinus.serving.asking.live import LiveRoute
from serinus.serving.loading.beside import Beside
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.types import ProcessLimits
from serinus.wire import RoutingTable, Target

Scenario: TypeAlias = Callable[[Beside, RoutingTable], Coroutine[Any, Any, None]]
NOTHING = RoutingTable(2, {})
SECONDS = 20.0


@pytest.fixture
def table(folders: dict[str, str]) -> RoutingTable:
    """One whose model has a clone of its champion, and a version in Staging."""
    made = route(folders, "numbers", "numbers-2", mirror=1.0, clone=0.5)
    staged = msgspec.structs.replace(made, staging=Target("2", folders["numbers-2"]))
    return RoutingTable(1, {"numbers": staged})


def run(scenario: Scenario, table: RoutingTable, budget: int = 0, production: int = 0) -> None:
    async def inside() -> None:
        loop = asyncio.get_running_loop()
        beside = Beside(loop, ProcessLimits(), budget, lambda: production, lambda: None)
        try:
            await scenario(beside, table)
        finally:
            beside.sweep(NOTHING)

    asyncio.run(inside())


def live(table: RoutingTable) -> LiveRoute:
    """The route as who looks for its champion's clone has it."""
    made = scripted.live_route(scripted.lane("numbers", scripted.saying(1)))
    return dataclasses.replace(made, route=table.routes["numbers"])


async def cloned(beside: Beside, table: RoutingTable) -> Lane:
    """The clone, once it is loaded."""
    async with asyncio.timeout(SECONDS):
        while (found := beside.clone(live(table))) is None:
            await asyncio.sleep(0.01)
    return found


def test_clone_is_a_second_instance_called_in_a_thread(table: RoutingTable) -> None:
    async def scenario(beside: Beside, table: RoutingTable) -> None:
        assert beside.clone(live(table)) is None
        clone = await cloned(beside, table)
        assert isinstance(clone, LaneApart)
        assert clone.version == "numbers"
        assert beside.clone(live(table)) is clone

    run(scenario, table)


def test_what_the_table_wants_no_more_is_let_go(table: RoutingTable) -> None:
    async def scenario(beside: Beside, table: RoutingTable) -> None:
        await cloned(beside, table)
        staged = await beside.staging.find(table, None, SECONDS)
        assert staged.champion.version == "2"
        beside.sweep(table)
        assert [one["loaded"] for one in beside.staging.told(table)] == [True]
        assert beside.clone(live(table)) is not None
        beside.sweep(NOTHING)
        assert [one["loaded"] for one in beside.staging.told(table)] == [False]
        assert beside.clone(live(table)) is None
        await cloned(beside, table)

    run(scenario, table)


def test_production_comes_first_where_memory_is_short(table: RoutingTable) -> None:
    async def scenario(beside: Beside, table: RoutingTable) -> None:
        with pytest.raises(Unavailable, match="no room"):
            await beside.staging.find(table, "numbers", SECONDS)

    size = artifacts.size(table.routes["numbers"].champion)
    run(scenario, table, budget=10 * size, production=10 * size)


def test_a_version_that_does_not_load_says_why(table: RoutingTable) -> None:
    async def scenario(beside: Beside, table: RoutingTable) -> None:
        gone = msgspec.structs.replace(
            table.routes["numbers"], staging=Target("2", "/nowhere/at/all")
        )
        table = RoutingTable(1, {"numbers": gone})
        with pytest.raises(Unavailable, match="cannot be loaded"):
            await beside.staging.find(table, "numbers", SECONDS)
        assert beside.staging.told(table)[0]["fault"]

    run(scenario, table)
