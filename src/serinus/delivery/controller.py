"""The loop that moves deployments: fold, judge, reconcile, publish.

All state is in the store; a pass that is killed anywhere is simply done again. What is remembered
between passes only spares asking again for what has not changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from serinus import clock
from serinus.delivery import turns
from serinus.delivery.experiments import steering
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.folding.roster import Standing
from serinus.delivery.leases import Deposed, Lease
from serinus.delivery.reconcile import Decision, Snapshot, WorkerView, reconcile
from serinus.delivery.records import evidence, looks, workers
from serinus.delivery.rollback import repository as back
from serinus.delivery.rollback.progress import Progress
from serinus.delivery.service import Delivery
from serinus.delivery.types import Deployment, Outcome, Phase, Verdict
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.errors import Conflict, Unavailable
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
# A pass folds no further batch, and judges no further deployment, once it has taken so long; who
# waits longest is judged first. Others must not wait for a thousand that all have traffic.
_FOLD_SECONDS = 0.4
_JUDGE_SECONDS = 0.3
_MOST_JUDGED = 1_000
# Whom the judge cannot judge is tried again when something of it changes, or so much later.
_UNJUDGED_SECONDS = 30.0
# So many moves are one transaction: a hundred that end at once must not hold up everybody else.
_MOST_MOVES = 50

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Judged:
    """What the evidence said when it was last looked at, and which evidence that was."""

    fold: int
    written: Any
    step: int
    verdict: Verdict
    fresh: int

    def is_of(self, standing: Standing) -> bool:
        """Whether nothing has come since."""
        return (self.fold, self.written, self.step) == _state_of(standing)


@dataclass(frozen=True)
class _Unjudged:
    """Of what state the judge could make nothing, and until when it is not asked again."""

    state: tuple[int, Any, int]
    until: float


def _state_of(standing: Standing) -> tuple[int, Any, int]:
    return standing.fold, standing.written, standing.deployment.step


@dataclass(frozen=True)
class _News:
    """A look that is worth keeping, and what follows of it."""

    deployment: Deployment
    judged: _Judged
    decision: Decision | None
    winner: str | None = None


class Controller:
    """One controller of an installation.

    Args:
        delivery: carries out what is decided.
        consumer: of the ledger; no other controller's.
        lease: by which one of several leads; None where there can be only this one.
        rollbacks: sees through what was taken back; None for one that proposes nothing itself.
        rest_seconds: from a pass that found nothing new to the next, unless there are events: only
            time brings something then, whose steps are longer, or somebody elsewhere.
    """

    def __init__(
        self,
        delivery: Delivery,
        consumer: Consumer,
        lease: Lease | None = None,
        rollbacks: Progress | None = None,
        rest_seconds: float = 1.0,
    ) -> None:
        self._delivery = delivery
        self._rollbacks = rollbacks or Progress(delivery)
        self._consumer = consumer
        self._lease = lease
        self._token: int | None = None
        self._judged: dict[str, _Judged] = {}
        self._unjudged: dict[str, _Unjudged] = {}
        self._blamed: dict[str, str] = {}
        self._kept: dict[str, tuple[float, Outcome, int]] = {}
        self._steering = steering.Steering()
        self._next_publish = 0.0
        self._unpublished: Unavailable | None = None
        self._settled = False
        self._rest_seconds = rest_seconds
        self._rest_until = 0.0
        self._woken = False

    def step(self) -> bool:
        """What the loop repeats: a pass, or a look that finds that none is due.

        A pass that has found nothing new is followed by another one after a rest, or as soon as
        there are events, or somebody calls :meth:`wake`. Nothing else waits for that: the lease is
        renewed and the newest table carried meanwhile.

        Returns:
            As :meth:`run_once`.
        """
        if self._rests():
            self._delivery.tables.carry()
            return True
        # Before the pass, so that what changes during it is looked at in another one.
        self._woken = False
        busy = self.run_once()
        self._rest_until = clock.monotonic() + self._rest_seconds if busy and self._settled else 0.0
        return busy

    def wake(self) -> None:
        """Let the next step be a pass: something is known to have changed."""
        self._woken = True

    def _rests(self) -> bool:
        """Whether this one leads and no pass is due."""
        if self._woken or clock.monotonic() >= self._rest_until:
            return False
        return self._leads() and not self._consumer.has_news()

    def run_once(self) -> bool:
        """One pass over everything; whether there is something live to come back to soon.

        Who does not lead only carries the newest table to the gateways of its own machine.
        """
        if not self._leads():
            self._delivery.tables.carry()
            return False
        try:
            return self._pass()
        except Deposed as deposed:
            _log.warning("this controller leads no more", why=str(deposed))
            return True

    def close(self) -> None:
        """Let another one lead at once."""
        if self._lease is not None:
            self._lease.release()

    def _leads(self) -> bool:
        if self._lease is None:
            return True
        leads = self._lease.take()
        if leads and self._lease.token != self._token:
            # Whoever led meanwhile has changed what is remembered here.
            self._consumer.forget()
            self._judged.clear()
            self._unjudged.clear()
            self._next_publish = 0.0
            self._token = self._lease.token
            _log.info("this controller leads", token=self._token)
        return leads

    def _pass(self) -> bool:
        """Publishing comes first: what was stored just before a kill takes effect now.

        Where it cannot be published here, gateways elsewhere still carry it to themselves, and who
        is harmed still has to be found out.

        Raises:
            Unavailable: at the end of the pass, if the table could not be written.
        """
        self._unpublished, self._settled = None, False
        with self._publishing():
            if clock.monotonic() >= self._next_publish:
                self._delivery.tables.publish(self._guard, self._consumer.roster.everyone)
                self._next_publish = clock.monotonic() + _PUBLISH_SECONDS
            else:
                self._delivery.tables.carry()
        read, live, settled = 0, False, False
        until = clock.monotonic() + _FOLD_SECONDS
        for _ in range(_MOST_BATCHES):
            read = self._consumer.fold(self._guard)
            live, settled = self._reconcile_all()
            if not read or clock.monotonic() > until:
                break
        unfinished = self._rollbacks.step(clock.now(), self._guard)
        if self._unpublished is not None:
            raise self._unpublished
        self._settled = settled and not read
        return live or read > 0 or unfinished

    @contextmanager
    def _publishing(self) -> Iterator[None]:
        """A folder that cannot be written ends the pass, but only at its end."""
        try:
            yield
        except Unavailable as error:
            self._unpublished = error

    def _guard(self, connection: Connection) -> None:
        if self._lease is not None:
            self._lease.guard(connection)

    def _reconcile_all(self) -> tuple[bool, bool]:
        """Whether anything is live, and whether there was nothing to say of any of it."""
        now = clock.now()
        with reading(self._delivery.engine) as connection:
            live = self._consumer.roster.read(connection)
            stale = self._stale(live)
            learnt = evidence.some(connection, [item.deployment.id for item in stale])
            reporting = workers.read(connection, now, self._delivery.worker_seconds)
            asked = back.asked_since(connection)
            self._steering.look(connection, [item.deployment for item in live])
        until = clock.monotonic() + _JUDGE_SECONDS
        for standing in stale:
            self._judge(standing, learnt[standing.deployment.id])
            if clock.monotonic() > until:
                break
        ids = {item.deployment.id for item in live}
        self._judged = {key: item for key, item in self._judged.items() if key in ids}
        self._kept = {key: item for key, item in self._kept.items() if key in ids}
        self._unjudged = {key: item for key, item in self._unjudged.items() if key in ids}
        self._blamed = {key: item for key, item in self._blamed.items() if key in ids}
        found = [news for item in live for news in self._news(item, reporting, asked, now)]
        self._carry_out(found, now)
        return bool(live), not found and all(map(self._is_judged, stale))

    def _stale(self, live: Sequence[Standing]) -> list[Standing]:
        """Those of which something came since they were judged: who waits longest comes first."""
        now = clock.monotonic()
        found = [
            item for item in live if not self._is_judged(item) and not self._is_hopeless(item, now)
        ]
        order = {identity: number for number, identity in enumerate(self._judged)}
        found.sort(key=lambda item: order.get(item.deployment.id, -1))
        return found[:_MOST_JUDGED]

    def _is_judged(self, standing: Standing) -> bool:
        judged = self._judged.get(standing.deployment.id)
        return judged is not None and judged.is_of(standing)

    def _is_hopeless(self, standing: Standing, now: float) -> bool:
        """Whether the judge has failed on just this, not long ago."""
        failed = self._unjudged.get(standing.deployment.id)
        return failed is not None and failed.state == _state_of(standing) and now < failed.until

    def _judge(self, standing: Standing, evidence: Evidence) -> None:
        deployment = standing.deployment
        with self._alone(deployment):
            verdict = steering.verdict_of(deployment, evidence)
            fresh = evidence.total(Measure.STEP, level=deployment.step)
            # At the end of the row: who was judged last.
            self._judged.pop(deployment.id, None)
            self._judged[deployment.id] = _Judged(
                standing.fold, standing.written, deployment.step, verdict, fresh
            )
        if not self._is_judged(standing):
            until = clock.monotonic() + _UNJUDGED_SECONDS
            self._unjudged[deployment.id] = _Unjudged(_state_of(standing), until)

    def _news(
        self,
        standing: Standing,
        workers: tuple[WorkerView, ...],
        asked: Mapping[str, datetime],
        now: datetime,
    ) -> Iterator[_News]:
        deployment = standing.deployment
        if not self._is_judged(standing):
            return
        judged = self._judged[deployment.id]
        decision = winner = None
        with self._alone(deployment):
            since = asked.get(deployment.model)
            snapshot = Snapshot(deployment, judged.verdict, judged.fresh, workers, since)
            decision = reconcile(snapshot, now)
            steered = deployment.plan.experiment is not None and not snapshot.stands_still(now)
            if decision is None and steered:
                decision, winner = self._steer(deployment, now)
        if decision is not None or self._worth_keeping(deployment, judged.verdict):
            yield _News(deployment, judged, decision, winner)

    def _steer(self, deployment: Deployment, now: datetime) -> tuple[Decision | None, str | None]:
        """What an experiment does by itself: drop who harms, share traffic anew, end."""
        found = self._steering.steer(self._delivery.engine, deployment, self._guard, now)
        if found is None:
            return None, None
        if found.moved:
            with self._publishing():
                self._delivery.tables.publish(self._guard)
        return found.decision, found.winner

    def _carry_out(self, news: Sequence[_News], now: datetime) -> None:
        """Rollbacks first. A batch of moves is one transaction, and one revision of the table."""
        moves = [item for item in news if item.decision is not None]
        moves.sort(key=lambda item: item.judged.verdict.outcome is not Outcome.ROLLBACK)
        others = [item for item in news if item.decision is None]
        for start in range(0, len(moves), _MOST_MOVES):
            self._move(moves[start : start + _MOST_MOVES], now)
        if others:
            with self._delivery.engine.begin() as connection:
                self._guard(connection)
                seen = [(item.deployment, item.judged.verdict, item.judged.fold) for item in others]
                looks.add(connection, seen, now)

    def _move(self, news: Sequence[_News], now: datetime) -> None:
        delivery = self._delivery
        moved: list[tuple[Deployment, Deployment]] = []
        with turns.turn(delivery.engine, self._guard) as connection:
            for item in news:
                # What cannot be carried out is undone alone.
                with self._alone(item.deployment), connection.begin_nested():
                    moved.append((item.deployment, self._move_one(connection, item, now)))
            if not moved:
                return
            live = self._consumer.roster.everyone(connection)
            last = moved[-1][1]
            what = f"deployment {last.id} is {last.phase}"
            if len(moved) > 1:
                what = f"{len(moved)} deployments moved, at last {what}"
            table = delivery.tables.revise(connection, what, live)
        # Routing first; what only people look at (MLflow's aliases) afterwards.
        with self._publishing():
            delivery.tables.bring(table, self._guard)
        for before, after in moved:
            _log.info(
                "deployment moved",
                id=after.id,
                model=after.model,
                phase=after.phase,
                step=after.step,
                revision=table.revision,
                reason=after.reason,
            )
            if Phase.SOAKING in (before.phase, after.phase):
                delivery.registry.mirror_soon(after.model)

    def _move_one(self, connection: Connection, news: _News, now: datetime) -> Deployment:
        assert news.decision is not None
        seen = (news.deployment, news.judged.verdict, news.judged.fold)
        looks.add(connection, [seen], now)
        deployment = news.deployment
        if news.winner is not None:
            deployment = steering.crown(connection, deployment.id, news.winner, now)
        return self._delivery.move(connection, deployment, news.decision, actor=ACTOR, at=now)

    def _worth_keeping(self, deployment: Deployment, verdict: Verdict) -> bool:
        moment = clock.monotonic()
        at, outcome, requests = self._kept.get(deployment.id, (-1e9, verdict.outcome, -1))
        grown = verdict.requests > requests + max(0, requests) * _KEEP_GROWTH
        new = verdict.outcome is not outcome or (grown and moment - at >= _KEEP_SECONDS)
        if new:
            self._kept[deployment.id] = (moment, verdict.outcome, verdict.requests)
        return new

    @contextmanager
    def _alone(self, deployment: Deployment) -> Iterator[None]:
        """One deployment that cannot be judged or moved must not hold up the others' rollbacks.

        What goes wrong with it is told once, until it is something else.
        """
        try:
            yield
        except Deposed:
            raise
        except Conflict as conflict:
            _log.info("deployment moved meanwhile", id=deployment.id, why=str(conflict))
        except Exception as error:
            if turns.is_everybodys(error):
                raise
            if self._blamed.get(deployment.id) != repr(error):
                self._blamed[deployment.id] = repr(error)
                _log.exception("deployment could not be reconciled", id=deployment.id)
