"""How a deployment's plan goes with the traffic of late; each is simulated once in a while."""

from __future__ import annotations

import threading

from serinus import clock
from serinus.delivery.forecast.simulation import forecast
from serinus.delivery.forecast.types import Forecast
from serinus.delivery.service import Delivery

_KEEP_SECONDS = 60.0
_MOST = 256


class Prognoses:
    """Forecasts of deployments that have begun, for whoever watches them."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._known: dict[str, tuple[float, Forecast]] = {}
        # A simulation takes a fifth of a second of one core: nobody needs two at a time.
        self._simulating = threading.Lock()

    def of(self, deployment: str) -> Forecast:
        """The forecast of a deployment's whole plan. Raises NotFound."""
        found = self._delivery.get(deployment)
        with self._simulating:
            made, told = self._known.get(deployment, (-1e9, None))
            if told is None or clock.monotonic() - made > _KEEP_SECONDS:
                observe = self._delivery.planner.observe
                traffic = observe(found.model, found.champion) if found.champion else None
                told = forecast(
                    found.plan, traffic, seed=0, entities=found.spec.entities, harms=False
                )
                self._known[deployment] = (clock.monotonic(), told)
                while len(self._known) > _MOST:
                    del self._known[next(iter(self._known))]
            return told
