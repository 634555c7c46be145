"""The loop that moves deployments: fold, judge, reconcile, publish.

All state is in the store; a pass that is killed anywhere is simply done again.
"""

from __future__ import annotations

import structlog

from serinus import clock
from serinus.delivery import repository
from serinus.delivery.consumer import Consumer
from serinus.delivery.reconcile import Decision, Snapshot, reconcile
from serinus.delivery.service import Delivery
from serinus.delivery.types import Deployment, Outcome, Phase, Verdict
from serinus.delivery.verdicts import judge
from serinus.delivery.verdicts.evidence import Measure
from serinus.errors import Conflict
from serinus.store.engine import reading

ACTOR = "controller"
# A look is kept for the curve when it says something new, or when so much later the requests have
# grown by this share: the rows of a rollout grow with the logarithm of its traffic.
_KEEP_SECONDS = 0.5
_KEEP_GROWTH = 0.01
# After so many batches the pass ends, whatever is still to be read: others wait for it.
_MOST_BATCHES = 10
# Whoever changes a champion publishes at once; this only repairs a table that was lost.
_PUBLISH_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Controller:
    """One controller of an installation."""

    def __init__(self, delivery: Delivery, consumer: Consumer) -> None:
        self._delivery = delivery
        self._consumer = consumer
        self._kept: dict[str, tuple[float, Outcome, int]] = {}
        self._next_publish = 0.0

    def run_once(self) -> bool:
        """One pass over everything; whether there is something live to come back to soon.

        Publishing comes first: a decision that was stored just before a kill takes effect now.
        """
        if clock.monotonic() >= self._next_publish:
            self._publish()
        read, live = 0, False
        for _ in range(_MOST_BATCHES):
            read = self._consumer.fold()
            live = self._reconcile_all()
            if not read:
                break
        if live:
            self._publish()
        return live or read > 0

    def _publish(self) -> None:
        self._delivery.publish()
        self._next_publish = clock.monotonic() + _PUBLISH_SECONDS

    def _reconcile_all(self) -> bool:
        with reading(self._delivery.engine) as connection:
            live = repository.live(connection)
        for deployment in live:
            try:
                self._reconcile(deployment)
            except Conflict as conflict:
                _log.info("deployment moved meanwhile", id=deployment.id, why=str(conflict))
            except Exception:
                # One deployment that cannot be judged must not hold up the others' rollbacks.
                _log.exception("deployment could not be reconciled", id=deployment.id)
        for ended in set(self._kept) - {item.id for item in live}:
            del self._kept[ended]
        return bool(live)

    def _reconcile(self, deployment: Deployment) -> None:
        delivery = self._delivery
        now = clock.now()
        with reading(delivery.engine) as connection:
            evidence = repository.evidence(connection, deployment.id)
            fold = repository.folded(connection, deployment.id)
            workers = repository.workers(connection, now, delivery.worker_seconds)
        verdict = judge.judge(deployment.plan, deployment.step, evidence)
        fresh = evidence.total(Measure.STEP, level=deployment.step)
        decision = reconcile(Snapshot(deployment, verdict, fresh, workers), now)
        if decision is None and not self._worth_keeping(deployment, verdict):
            return
        with delivery.engine.begin() as connection:
            repository.record_verdict(connection, deployment, verdict, fold, now)
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
        grown = verdict.requests > requests + max(0, requests) * _KEEP_GROWTH
        new = verdict.outcome is not outcome or (grown and moment - at >= _KEEP_SECONDS)
        if new:
            self._kept[deployment.id] = (moment, verdict.outcome, verdict.requests)
        return new
