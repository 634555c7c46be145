"""A loader in the test's own loop, and tables that are put in force with it."""

from __future__ import annotations

import asyncio

import msgspec
from tests.serving.conftest import route

from serinus.serving.asking.lanes import Lane
from serinus.serving.loading.loader import Loader
from serinus.serving.loading.snapshot import Snapshot
from serinus.wire import RoutingTable, Target, Variant


def loader():
    loop = asyncio.get_running_loop()

    def make(version, runtime):
        return Lane(version, runtime, loop, timeout_seconds=5, freed=lambda: None)

    return Loader(loop, make, lambda: None)


def tables(*routes):
    return [
        RoutingTable(revision, {item.model: item for item in group})
        for revision, group in enumerate(routes, 1)
    ]


async def apply(loading, given, before):
    """What is in force once all that can be loaded is."""
    loading.fetch(given)
    snapshot = loading.snapshot(given, before)
    await loading.loaded()
    return loading.snapshot(given, snapshot)


async def applied(loading, *given):
    snapshot = Snapshot()
    for item in given:
        snapshot = await apply(loading, item, snapshot)
    return snapshot


def several(folders, *names, warm=(), **more):
    """A route of the model of mood with several challengers of a tenth each."""
    others = tuple(
        Variant(Target(name, folders.get(name, "/nowhere")), 0.5 + place / 10, 0.1)
        for place, name in enumerate(names[2:])
    )
    made = route(folders, names[0], names[1], share=0.1, deployment="d", others=others, **more)
    targets = tuple(Target(name, folders[name]) for name in warm)
    return msgspec.structs.replace(made, warm=targets)
