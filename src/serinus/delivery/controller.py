"""The loop that moves deployments: fold, judge, reconcile, publish.

All state is in the store; a pass that is killed anywhere is simply done again.
"""

from __future__ import annotations

import threading

import structlog

from serinus import clock
from serinus.delivery import judge, repository
from serinus.delivery.consumer import Consumer
from serinus.delivery.evidence import Measure
from serinus.delivery.reconcile import Decision, Snapshot, reconcile
from serinus.delivery.service import Delivery
from serinus.delivery.types import Deployment, Outcome, Phase, Verdict
from serinus.errors import Conflict, SerinusError
from serinus.store.engine import reading

ACTOR = "controller"
# A look is kept for the curve when it says something new, or when it is this old.
_KEEP_SECONDS = 0.5
# How much longer an idle controller may rest: nobody waits for it but new deployments.
_IDLE_FACTOR = 5
# Whoever changes a champion publishes at once; this only repairs a table that was lost.
_PUBLISH_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Controller:
    """One controller of an installation."""

    def __init__(self, delivery: Delivery, consumer: Consumer, interval: float) -> None:
        self._delivery = delivery
        self._consumer = consumer
        self._interval = interval
        self._kept: dict[str, tuple[float, Outcome, int]] = {}
        self._next_publish = 0.0

    def run(self, stop: threading.Event) -> None:
        """Pass after pass until ``stop``; a fault is logged and the next pass tries again."""
        while not stop.is_set():
            busy = True
            try:
                busy = self.run_once()
            except SerinusError as error:
                _log.error("controller pass failed", **error.problem())
            except Exception:
                _log.exception("controller pass failed")
            stop.wait(self._interval if busy else self._interval * _IDLE_FACTOR)

    def run_once(self) -> bool:
        """One pass over everything; whether there is something live to come back to soon."""
        while self._consumer.fold():
            self._reconcile_all()
        live = self._reconcile_all()
        if live or clock.monotonic() >= self._next_publish:
            self._delivery.publish()
            self._next_publish = clock.monotonic() + _PUBLISH_SECONDS
        return live

    def _reconcile_all(self) -> bool:
        engine = self._delivery.engine
        with reading(engine) as connection:
            live = repository.live(connection)
        for deployment in live:
            try:
                self._reconcile(deployment)
            except Conflict as conflict:
                _log.info("deployment moved meanwhile", id=deployment.id, why=str(conflict))
        for ended in set(self._kept) - {item.id for item in live}:
            del self._kept[ended]
        return bool(live)

    def _reconcile(self, deployment: Deployment) -> None:
        delivery = self._delivery
        now = clock.now()
        with reading(delivery.engine) as connection:
            evidence = repository.evidence(connection, deployment.id)
            workers = repository.workers(connection, now, delivery.worker_seconds)
        verdict = judge.judge(deployment.plan, deployment.step, evidence)
        fresh = evidence.total(Measure.STEP, level=deployment.step)
        decision = reconcile(Snapshot(deployment, verdict, fresh, workers, now))
        if decision is None and not self._worth_keeping(deployment, verdict):
            return
        with delivery.engine.begin() as connection:
            repository.record_verdict(connection, deployment, verdict, now)
            if decision is not None:
                delivery.apply(connection, deployment, decision, actor=ACTOR, at=now)
        if decision is not None:
            self._after(deployment, decision)

    def _after(self, deployment: Deployment, decision: Decision) -> None:
        """Routing first; what only people look at (MLflow's aliases) afterwards."""
        table = self._delivery.publish()
        _log.info(
            "deployment moved",
            id=deployment.id,
            model=deployment.model,
            phase=decision.phase,
            step=decision.step,
            revision=table.revision,
            reason=decision.reason,
        )
        if Phase.SOAKING in (deployment.phase, decision.phase):
            self._delivery.registry.mirror_soon(deployment.model)

    def _worth_keeping(self, deployment: Deployment, verdict: Verdict) -> bool:
        moment = clock.monotonic()
        at, outcome, requests = self._kept.get(deployment.id, (-1e9, verdict.outcome, -1))
        new = verdict.outcome is not outcome or (
            verdict.requests != requests and moment - at >= _KEEP_SECONDS
        )
        if new:
            self._kept[deployment.id] = (moment, verdict.outcome, verdict.requests)
        return new
