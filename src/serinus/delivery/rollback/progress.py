"""Seeing rollbacks through: loaded, routed, taken up, verified. The controller drives it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from serinus import clock
from serinus.delivery import turns
from serinus.delivery.leases import Deposed, Guard, unguarded
from serinus.delivery.reconcile import WorkerView
from serinus.delivery.records import deployments, workers
from serinus.delivery.rollback import bands, counts, handover, plan, repository, verify, vitals
from serinus.delivery.rollback.bands import Band
from serinus.delivery.rollback.counts import BUCKET_SECONDS, Counts
from serinus.delivery.rollback.guard import ChampionGuard
from serinus.delivery.rollback.handover import Moves
from serinus.delivery.rollback.types import Rollback, State
from serinus.delivery.rollback.verify import Case, Judgement
from serinus.delivery.types import Phase
from serinus.errors import Conflict
from serinus.registry import repository as versions
from serinus.store.engine import reading

ACTOR = "controller"
LOAD_SECONDS = 300.0
"""A version that was not loaded in this time does not load."""
PROPOSAL_SECONDS = 86_400.0
"""How long a proposal waits for a person."""

# A look at one rollback takes milliseconds: where many are open, each is looked at less often.
_LOOK_SECONDS = 1.0
_SECONDS_EACH = 0.05
_TELL_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Progress:
    """Brings what was begun to its end, and lets somebody look after the champions.

    Args:
        delivery: what moves deployments and the routing table.
        champions: looks after those that no deployment watches; None: nobody does.
    """

    def __init__(self, delivery: Moves, champions: ChampionGuard | None = None) -> None:
        self._delivery = delivery
        self._champions = champions
        self._bands: dict[str, tuple[Band, ...]] = {}
        self._next_look: dict[str, float] = {}
        self._next_told: dict[str, float] = {}

    def step(self, now: datetime, guard: Guard = unguarded) -> bool:
        """Bring every open rollback as far as the facts allow; whether one is under way.

        Args:
            now: the time.
            guard: what makes sure that a controller may still write.
        """
        reporting: tuple[WorkerView, ...] = ()
        with reading(self._delivery.engine) as connection:
            found = repository.open_ones(connection)
            if found:
                reporting = workers.read(connection, now, self._delivery.worker_seconds)
        self._forget_but({item.id for item in found})
        pause = max(_LOOK_SECONDS, _SECONDS_EACH * len(found))
        for rollback in found:
            if clock.monotonic() >= self._next_look.get(rollback.id, 0.0):
                self._look(rollback, reporting, now, guard, pause)
        if self._champions is not None:
            self._champions.step(now, guard)
        return any(item.state is not State.PLANNED for item in found)

    def _forget_but(self, ids: set[str]) -> None:
        for kept in (self._bands, self._next_look, self._next_told):
            for gone in kept.keys() - ids:
                del kept[gone]

    def _look(
        self,
        rollback: Rollback,
        workers: tuple[WorkerView, ...],
        now: datetime,
        guard: Guard,
        pause: float,
    ) -> None:
        """One that cannot be judged must not hold up the others."""
        try:
            moved = self._advance(rollback, workers, now, guard)
        except Deposed:
            raise
        except Conflict as conflict:
            _log.info("rollback moved meanwhile", id=rollback.id, why=str(conflict))
        except Exception:
            _log.exception("rollback could not be seen through", id=rollback.id)
        else:
            if not moved and rollback.state is State.VERIFYING:
                self._next_look[rollback.id] = clock.monotonic() + pause

    def _advance(
        self,
        rollback: Rollback,
        workers: tuple[WorkerView, ...],
        now: datetime,
        guard: Guard,
    ) -> bool:
        """One look at one rollback; whether it moved."""
        match rollback.state:
            case State.PLANNED:
                if (now - rollback.started_at).total_seconds() < PROPOSAL_SECONDS:
                    return False
                self._end(rollback, State.FAILED, "Nobody asked for it in time.", now, guard)
                return True
            case State.WARMING:
                return self._warm(rollback, workers, now, guard)
            case State.ROUTED:
                return self._report(rollback, workers, now, guard)
            case _:
                return self._verify(rollback, workers, now, guard)

    def _warm(
        self,
        rollback: Rollback,
        workers: tuple[WorkerView, ...],
        now: datetime,
        guard: Guard,
    ) -> bool:
        label = f"{rollback.model}@{rollback.to}"
        failed = [view for view in workers if label in view.failed]
        why = ""
        if failed:
            said = failed[0].failed[label]
            why = f"Gateway worker {failed[0].worker} could not load {label}: {said}"
        elif (now - rollback.started_at).total_seconds() > LOAD_SECONDS:
            why = f"Not every gateway worker had {label} ready within {LOAD_SECONDS:g} s."
        if why:
            self._end(rollback, State.FAILED, f"{why} Nothing was changed.", now, guard)
            return True
        if not workers or not plan.is_warm(label, workers):
            return False
        reason = f"{label} is loaded on all {len(workers)} workers."
        done = None
        with turns.turn(self._delivery.engine, guard) as connection:
            overruled = _overruled(connection, rollback)
            if not overruled:
                done = handover.route(self._delivery, connection, rollback, reason, now)
        if done is None:
            self._end(rollback, State.FAILED, f"{overruled} Nothing was changed.", now, guard)
            return True
        handover.tell(self._delivery, *done, guard)
        return True

    def _report(
        self,
        rollback: Rollback,
        workers: tuple[WorkerView, ...],
        now: datetime,
        guard: Guard,
    ) -> bool:
        """Wait until every live worker has the table."""
        if workers and all(view.revision >= rollback.revision for view in workers):
            with turns.turn(self._delivery.engine, guard) as connection:
                took = (now - (rollback.routed_at or now)).total_seconds()
                repository.move(
                    connection,
                    rollback,
                    State.VERIFYING,
                    actor=ACTOR,
                    at=now,
                    reason=f"All {len(workers)} live workers had revision {rollback.revision} "
                    f"within {took:.1f} s.",
                    reported_at=now,
                )
            return True
        if _is_late(rollback, now):
            seconds = rollback.criteria.verify_seconds
            why = f"Not every gateway worker has taken it up within {seconds:g} s."
            self._end(rollback, State.UNVERIFIED, why, now, guard)
            return True
        return False

    def _verify(
        self,
        rollback: Rollback,
        workers: tuple[WorkerView, ...],
        now: datetime,
        guard: Guard,
    ) -> bool:
        with reading(self._delivery.engine) as connection:
            other = _served_otherwise(connection, rollback)
            asked = repository.asked_since(connection).get(rollback.model)
            if not other and asked is not None and now < asked:
                # Time in which the default answers alone says nothing of the target.
                return False
            found = verify.judge(self._case(connection, rollback, workers, now))
        if other:
            # What is found while others serve says nothing of this version.
            found = Judgement(State.UNVERIFIED, other, rollback.findings)
        if found.state is not None:
            self._end(rollback, found.state, found.reason, now, guard, found)
            return True
        if clock.monotonic() >= self._next_told.get(rollback.id, 0.0):
            self._next_told[rollback.id] = clock.monotonic() + _TELL_SECONDS
            with turns.turn(self._delivery.engine, guard) as connection:
                repository.write_findings(connection, rollback, found.findings)
        return False

    def _case(
        self,
        connection: Connection,
        rollback: Rollback,
        workers: Sequence[WorkerView],
        now: datetime,
    ) -> Case:
        """Everything that the verification rests on."""
        model, ahead = rollback.model, timedelta(seconds=BUCKET_SECONDS)
        routed = rollback.routed_at or rollback.started_at
        if rollback.id not in self._bands:
            self._bands[rollback.id] = _range(connection, rollback)
        beside = vitals.stretches(connection, model, rollback.sound_until, routed + ahead)
        asked = repository.asked_since(connection).get(model)
        since = max(rollback.reported_at or routed, asked or routed)
        after = vitals.stretches(connection, model, since, now + ahead)
        return Case(
            rollback=rollback,
            bands=self._bands[rollback.id],
            workers=workers,
            now=now,
            since=since if since == asked else None,
            after=counts.total(item.counts for item in after if item.version == rollback.to),
            target=[item.counts for item in beside if item.version == rollback.to],
            other=[item.counts for item in beside if item.version == rollback.taken_back],
        )

    def _end(
        self,
        rollback: Rollback,
        to: State,
        reason: str,
        now: datetime,
        guard: Guard,
        found: Judgement | None = None,
    ) -> None:
        """Write down how it ended; the gateways are told to unload what they loaded in vain."""
        findings = found.findings if found else rollback.findings
        table = None
        with turns.turn(self._delivery.engine, guard) as connection:
            repository.move(
                connection, rollback, to, actor=ACTOR, at=now, reason=reason, findings=findings
            )
            if rollback.deployment is not None and to is State.NOT_THE_MODEL:
                repository.remark(connection, rollback.deployment, reason)
            if rollback.state is State.WARMING:
                table = self._delivery.tables.revise(connection, f"rollback {rollback.id} failed")
        if table is not None:
            self._delivery.tables.bring(table, guard)
        tell = _log.info if to is State.VERIFIED else _log.warning
        tell(
            "rollback ended",
            id=rollback.id,
            model=rollback.model,
            to=rollback.to,
            state=to,
            reason=reason,
        )


def _range(connection: Connection, rollback: Rollback) -> tuple[Band, ...]:
    """What the target was like before anything was wrong; if nobody knows, what the model was."""
    since = rollback.sound_until - timedelta(seconds=vitals.KEPT_SECONDS)
    found = vitals.stretches(connection, rollback.model, since, rollback.sound_until)
    own = [item.counts for item in found if item.version == rollback.to]
    if sum(item.requests for item in own) >= bands.FEWEST_REQUESTS:
        return bands.bands(own, rollback.criteria)
    together: dict[int, list[Counts]] = {}
    for item in found:
        together.setdefault(item.start, []).append(item.counts)
    return bands.bands(list(map(counts.total, together.values())), rollback.criteria)


def _served_otherwise(connection: Connection, rollback: Rollback) -> str:
    """Who has changed what serves since the target had all traffic; "" if nobody has."""
    for live in deployments.live(connection, rollback.model):
        if live.phase is not Phase.PENDING:
            return f"The deployment {live.id} has changed the traffic meanwhile."
    champion = versions.champions(connection, rollback.model).get(rollback.model, ("", ""))[0]
    if champion != rollback.to:
        return f"{champion or 'No version'} has all traffic meanwhile."
    return ""


def _overruled(connection: Connection, rollback: Rollback) -> str:
    """What was decided while its version was being loaded; "" if it is still what is wanted.

    To be called in the turn that routes it.
    """
    for live in deployments.live(connection, rollback.model):
        return f"The deployment {live.id} decides on what serves {rollback.model} since."
    left = rollback.taken_back
    if rollback.deployment is not None:
        # That was taken back at once, to its champion.
        left = deployments.get(connection, rollback.deployment).champion or ""
    champion = versions.champions(connection, rollback.model).get(rollback.model, ("", ""))[0]
    if champion != left:
        return f"The champion was {left or 'none'}, and now it is {champion or 'none'}."
    return ""


def _is_late(rollback: Rollback, now: datetime) -> bool:
    since = rollback.routed_at or rollback.started_at
    return (now - since).total_seconds() > rollback.criteria.verify_seconds
