"""What a worker loads beside production: the versions in Staging, and clones of champions.

Neither may be felt by who is answered: they are called in threads of their own, and have only the
memory that production leaves.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from serinus.serving.asking.lanes import Lane, LaneApart
from serinus.serving.asking.live import LiveRoute
from serinus.serving.loading import staging
from serinus.serving.loading.apart import Apart, Key, Loaded
from serinus.serving.loading.staging import Staging
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.types import ProcessLimits
from serinus.wire import Arm, RoutingTable


class Beside:
    """What one worker has loaded beside production.

    Args:
        loop: the event loop; all methods are called in it.
        limits: of processes and of a call.
        budget: the bytes that all models of the worker may take; 0 is no limit.
        production: the bytes that production takes at present.
        freed: told whenever one of them has finished a call.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ProcessLimits,
        budget: int,
        production: Callable[[], int],
        freed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._limits = limits
        self._budget = budget
        self._production = production
        self._freed = freed
        self._apart = Apart(loop, self._open, artifacts.size, self._room)
        self.staging = Staging(self._apart)

    def clone(self, live: LiveRoute) -> Lane | None:
        """The champion's clone if it is loaded; if not, it begins to load."""
        return self._apart.find(Key(Arm.CLONE, live.route.model, live.route.champion))

    def sweep(self, table: RoutingTable) -> None:
        """Let go of what the table wants no more, was not asked for long, or has no room."""
        routes = table.routes.values()
        clones = [Key(Arm.CLONE, one.model, one.champion) for one in routes if one.clone > 0.0]
        self._apart.sweep({*staging.keys(table), *clones})
        self.staging.sweep(table)

    def _open(self, key: Key) -> Loaded:
        """Load a version; a thread's work."""
        is_staging = key.role is Arm.STAGING
        runtime = artifacts.load(key.model, key.target, self._limits, confined=is_staging)
        lane = LaneApart(
            key.target.version,
            runtime,
            self._loop,
            timeout_seconds=self._limits.call_seconds,
            freed=self._freed,
        )
        try:
            lane.measure()
        except BaseException:
            lane.close()
            raise
        return Loaded(lane, artifacts.size(key.target))

    def _room(self) -> float:
        """The bytes that are left for it."""
        return self._budget - self._production() - self._apart.size if self._budget else math.inf
