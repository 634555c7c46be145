"""Experiments in a real store and ledger, with traffic as gateways would write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tests.delivery.conftest import World

from serinus import clock
from serinus.delivery.controller import Controller
from serinus.delivery.experiments import measuring
from serinus.delivery.experiments.service import Experiments
from serinus.delivery.folding.consumer import NAME, Consumer
from serinus.delivery.types import Deployment
from serinus.ledger.consumer import load_offsets
from serinus.ledger.files.reader import Reader
from serinus.registry.types import Stage
from serinus.store.engine import reading
from serinus.wire import Arm, Assignment, Event, Label, Output, Prediction, Value, WorkerStatus

SECOND = 1_000_000
_MOST_PASSES = 100


@dataclass
class Lab:
    """An installation with three versions, and a clock of its own for events."""

    world: World
    at: int = field(default_factory=lambda: clock.epoch_us() - 3_600 * SECOND)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def __post_init__(self) -> None:
        world = self.world
        world.controller = self.controller(world)
        world.register("1.0.0", stage=Stage.PRODUCTION)
        world.register("1.1.0")
        world.register("1.2.0")
        self.experiments = Experiments(world.engine, world.delivery.promote)

    @staticmethod
    def controller(world: World) -> Controller:
        """A controller that measures experiments."""
        consumer = Consumer(world.engine, Reader(world.ledger), [measuring.measure])
        return Controller(world.delivery, consumer)

    def start(self, **fields: object) -> Deployment:
        """Begin an experiment of 1.1.0 and have the gateways load it."""
        asked = {
            "model": "fraud",
            "challenger": "1.1.0",
            "strategy": "ab_test",
            "min_requests": 600,
            "min_hours": 1e-6,
            "soak_seconds": 0.0,
            "label_window_seconds": 60.0,
            **fields,
        }
        begun = self.world.delivery.create(asked, actor="test")
        self.world.report("1.0.0", "1.1.0", "1.2.0")
        self.world.controller.run_once()
        return self.world.delivery.get(begun.id)

    def send(
        self,
        requests: int,
        wrong: Sequence[float],
        *,
        failing: Sequence[float] = (0.0, 0.0, 0.0),
        worth: Sequence[float] | None = None,
        entities: int = 0,
    ) -> None:
        """Requests under the present table, labelled at once or (with ``worth``) valued.

        Args:
            requests: how many.
            wrong: by arm, how often its answers are.
            failing: by arm, how often it fails and the champion answers.
            worth: by arm, how likely a request is worth 10.
            entities: how many they come from; 0 for each its own.
        """
        table = self.world.delivery.routing()
        route = table.routes["fraud"]
        shares = (route.share, *(item.share for item in route.others))
        places = np.cumsum([0.0, *shares])
        rows: list[Prediction] = []
        for random, errs, fails in self.rng.random((requests, 3)):
            self.at += SECOND // 100
            unit = 1 + int(self.rng.integers(entities)) if entities else 0
            # An entity's arm is its own for good.
            draw = (unit * 0.6180339887) % 1.0 if unit else random
            place = int(np.searchsorted(places, draw, "right")) - 1
            arm = place + 1 if place < len(shares) else 0
            assignment = Assignment(
                "fraud",
                Arm.CHALLENGER if arm else Arm.CHAMPION,
                route.share,
                table.revision,
                route.deployment,
                route.step,
                unit,
                max(0, arm - 1),
                shares if len(shares) > 1 else (),
            )
            answer = int(errs < wrong[arm])
            fallback = "ValueError" if fails < failing[arm] else ""
            features = (float(errs), 40.0)
            rows.append(
                Prediction(self.at, assignment, "x", features, Output(answer), 900, fallback)
            )
        ids = self.world.write(rows)
        self.world.write(
            [event for item in zip(ids, rows, strict=True) for event in self._after(*item, worth)]
        )

    def _after(
        self, identity: bytes, row: Prediction, worth: Sequence[float] | None
    ) -> list[Event]:
        told = (identity, row.at, row.assignment, row.version)
        if worth is None:
            return [Label(row.at + 1, identity, 0, *told[1:], row.output)]
        arm = 0 if row.assignment.arm is Arm.CHAMPION else row.assignment.variant + 1
        if self.rng.random() >= worth[arm]:
            return []
        return [Value(row.at + 1, identity, 10.0, *told[1:])]

    def pass_time(self, seconds: float) -> None:
        """Nothing but a gateway's regular word, so much later."""
        self.at += round(seconds * SECOND)
        revision = self.world.delivery.routing().revision
        ready = tuple(f"fraud@{version}" for version in ("1.0.0", "1.1.0", "1.2.0"))
        self.world.write([WorkerStatus(self.at, "w1", revision, ready, {})])
        self.look()

    def look(self, passes: int = 3) -> None:
        """Let the controller work so often, and until it has read everything."""
        for number in range(_MOST_PASSES):
            if number >= passes and self._all_read():
                return
            self.world.controller.run_once()
        raise AssertionError("the controller does not come to the ledger's end")

    def _all_read(self) -> bool:
        with reading(self.world.engine) as connection:
            offsets = load_offsets(connection, NAME)
        return not Reader(self.world.ledger).read(offsets, 1).records

    def now(self, deployment: Deployment) -> Deployment:
        """The deployment as it is now."""
        return self.world.delivery.get(deployment.id)
