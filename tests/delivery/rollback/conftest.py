"""A model in production whose signs of life are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.delivery.conftest import World

from serinus.delivery.controller import Controller
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.vitals import Vitals
from serinus.ledger.files.reader import Reader
from serinus.registry.types import Stage


@pytest.fixture
def champion(world: World) -> World:
    """1.0.0 in Production."""
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    consumer = Consumer(world.engine, Reader(world.ledger), [Vitals()])
    world.controller = Controller(world.delivery, consumer)
    return world


@pytest.fixture
def rollbacks(champion: World) -> Rollbacks:
    """With workers that are believed for an hour: time is moved on below."""
    return Rollbacks(replace(champion.delivery, worker_seconds=3_600.0))
