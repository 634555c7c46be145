"""The monitor's pass: fold what is new, then let what it recommends ask for a retraining."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from serinus import clock
from serinus.app import App
from serinus.delivery.rollback.types import State
from serinus.monitoring.labelled import labelled_count
from serinus.monitoring.types import Action, Recommendation, Reference
from serinus.registry.types import ModelVersion
from serinus.scheduling.types import Condition

RETRAIN = "retrain"
# What is recommended takes milliseconds a model: where there are many, they are asked less often.
_SHARE, _LONG_SECONDS = 0.01, 0.3
# After so many batches without a pause it is time to look at what they say.
_MOST_BATCHES = 20


class Watch:
    """Monitoring and its triggers over one installation."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._next_advice = 0.0

    def look(self) -> bool:
        """One pass; whether there was anything new in the ledger."""
        begun = clock.monotonic()
        advises = self._app.settings.retrain_automatically and begun >= self._next_advice
        if not advises and not self._app.monitor.is_due():
            return False
        champions = self._app.registry.champions()
        references = {name: _reference(version) for name, version in champions.items()}
        read = 0
        for _ in range(_MOST_BATCHES):
            batch = self._app.monitor.step(references)
            read += batch
            if not batch:
                break
        begun = clock.monotonic()
        if advises:
            for version in champions.values():
                self._consider(version)
            took = clock.monotonic() - begun
            if took > _LONG_SECONDS:
                self._next_advice = begun + took / _SHARE
        return read > 0

    def _consider(self, version: ModelVersion) -> None:
        """Tell the model's trigger what is recommended now."""
        model = version.model
        advice = self._app.monitor.recommendation(model)
        condition = condition_of(advice, version)
        if condition is not None and self._app.delivery.find(model) is not None:
            # What is on its way may be the answer; one deployment at a time anyway.
            condition = None
        if condition is not None and self._is_elsewhere(version):
            condition = None
        rows = labelled_count(self._app.engine, model, advice.since) if condition else 0
        self._app.triggers.observe(
            model, RETRAIN, condition, rows=rows, payload=payload_of(advice, model)
        )

    def _is_elsewhere(self, version: ModelVersion) -> bool:
        """Whether a rollback to this champion found lately that no version was to blame.

        What breaks every version, such as wrong labels, would be learnt by the next one.
        """
        newest = self._app.rollbacks.page(version.model, limit=1, after=None)
        if not newest or newest[0].state is not State.NOT_THE_MODEL:
            return False
        rest = timedelta(seconds=self._app.settings.retrain_cooldown_seconds)
        ended = newest[0].ended_at
        return newest[0].to == version.version and ended is not None and clock.now() < ended + rest


def condition_of(advice: Recommendation, version: ModelVersion) -> Condition | None:
    """The condition that a recommendation is, named so that one occurrence is one job."""
    if advice.action not in (Action.RETRAIN_SOON, Action.RETRAIN_IMMEDIATELY):
        return None
    key = advice.alarm or f"{version.model}/{version.version}/performance"
    return Condition(key=key, reason=advice.reasons[0])


def payload_of(advice: Recommendation, model: str) -> dict[str, Any]:
    """What the retraining must know: why, and since when rows count."""
    return {
        "model": model,
        "reason": " ".join(advice.reasons),
        "since": advice.since.isoformat() if advice.since else None,
    }


def _reference(version: ModelVersion) -> Reference:
    return Reference(
        model=version.model,
        version=version.version,
        task=version.task,
        profile=version.reference,
        metrics=version.metrics,
    )
