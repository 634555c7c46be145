"""Taking models back: asked for by a person, and seen through to its end by the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import Connection, Engine

from serinus import clock
from serinus.delivery import repository as deployments
from serinus.delivery.leases import Guard, unguarded
from serinus.delivery.reconcile import Decision, WorkerView
from serinus.delivery.rollback import bands, counts, plan, repository, verify, vitals
from serinus.delivery.rollback.bands import Band
from serinus.delivery.rollback.counts import BUCKET_SECONDS, Counts
from serinus.delivery.rollback.types import (
    Cause,
    Check,
    Fallback,
    Moment,
    Rollback,
    RollbackPlan,
    Seen,
    State,
)
from serinus.delivery.rollback.verify import Case, Judgement
from serinus.delivery.routing import Publisher
from serinus.delivery.types import Deployment, Outcome, Phase
from serinus.errors import Conflict, InvalidInput
from serinus.registry import repository as versions
from serinus.registry.model_types import ModelType
from serinus.registry.service import Registry
from serinus.registry.types import ModelVersion, Stage
from serinus.store.engine import reading
from serinus.wire import MANIFEST_FILE, Answer, RoutingTable

ACTOR = "controller"
LOAD_SECONDS = 300.0
"""A version that was not loaded in this time does not load."""
PROPOSAL_SECONDS = 86_400.0
"""How long a proposal waits for a person."""

_MOST_HISTORY = 10_000
# A look at one rollback takes milliseconds: where many are open, each is looked at less often.
_LOOK_SECONDS = 1.0
_SECONDS_EACH = 0.05
_TELL_SECONDS = 5.0
# When nobody knows since when something has been wrong: not longer than this, it is thought.
_UNNOTICED = timedelta(hours=1)

_log = structlog.get_logger(__name__)


class Moves(Protocol):
    """What delivery does for a rollback."""

    @property
    def engine(self) -> Engine:
        """The store."""

    @property
    def registry(self) -> Registry:
        """Where versions are."""

    @property
    def publisher(self) -> Publisher:
        """What carries the routing table to the gateways."""

    @property
    def worker_seconds(self) -> float:
        """A gateway worker silent for longer is taken for dead."""

    @property
    def types(self) -> Mapping[str, ModelType]:
        """What each type of model is held to."""

    def move(
        self,
        connection: Connection,
        deployment: Deployment,
        decision: Decision,
        *,
        actor: str,
        at: datetime,
    ) -> Deployment:
        """Carry out a decision without a revision."""

    def revise(self, connection: Connection, reason: str) -> RoutingTable:
        """The routing table as it has to be now."""


@dataclass(frozen=True)
class _Asked:
    """What a rollback is about, as it stands in the caller's transaction."""

    champion: ModelVersion
    target: ModelVersion
    live: Deployment | None
    present: Rollback | None
    workers: tuple[WorkerView, ...]

    @property
    def taken_back(self) -> str:
        return self.live.challenger if self.live else self.champion.version

    @property
    def warm(self) -> bool:
        """Whether the target may have all traffic at once."""
        if self.live is not None and self.live.champion == self.target.version:
            return True
        return plan.is_warm(f"{self.target.model}@{self.target.version}", self.workers)


@dataclass(frozen=True)
class _Known:
    """Who asks, why, when, and what is known of the harm."""

    actor: str
    reason: str
    cause: Cause
    at: datetime
    sound_until: datetime | None


class Rollbacks:
    """The rollbacks of an installation.

    Args:
        delivery: what moves deployments and the routing table.
    """

    def __init__(self, delivery: Moves) -> None:
        self._delivery = delivery
        self._bands: dict[str, tuple[Band, ...]] = {}
        self._next_look: dict[str, float] = {}
        self._next_told: dict[str, float] = {}

    # ------------------------------------------------------------------ what a person asks for

    def roll_back(
        self,
        model: str,
        version: str | None,
        *,
        actor: str,
        reason: str,
        cause: Cause = "by hand",
        sound_until: datetime | None = None,
        only_proposed: bool = False,
    ) -> Rollback:
        """Take a model back: from a live deployment to its champion, else to an earlier version.

        Where the target is loaded, one transaction and one revision give it all traffic. Where it
        is not, a live deployment loses its traffic at once, and the target gets it when every
        worker has it.

        Args:
            model: the model.
            version: where to; None is the live deployment's champion or the former champion.
            actor: who asks.
            reason: why, kept in the history.
            cause: what is harmed, as far as it is known.
            sound_until: before it nothing was harmed, as far as that is known.
            only_proposed: write it down for a person to carry out, who asks for the same.

        Raises:
            NotFound: there is no such model or version, or nothing to go back to.
            Conflict: no version is in production, or the target cannot be one.
        """
        why = reason or f"By hand, by {actor}."
        now = clock.now()
        with self._delivery.engine.begin() as connection:
            asked = self._look(connection, model, version, now)
            repeated = _repeated(asked, version)
            if repeated is not None:
                return repeated
            known = _Known(actor, why, cause, now, sound_until)
            made = self._plan(connection, asked, known)
            if only_proposed:
                return made
            if asked.live is None and asked.target.version == asked.champion.version:
                return _nothing_to_do(connection, made, now)
            done, table = self._begin(connection, asked, made, now)
        self._tell(done, table)
        return done

    def propose(self, model: str, version: str | None = None) -> RollbackPlan:
        """The written plan of a rollback; nothing is done. Raises as :meth:`roll_back` does."""
        with reading(self._delivery.engine) as connection:
            asked = self._look(connection, model, version, clock.now(), hold=False)
            return self._write(connection, asked)

    def decline(self, rollback_id: str, *, actor: str, reason: str) -> Rollback:
        """Do not carry out what was proposed, or is still being loaded; idempotent.

        Raises:
            NotFound: there is none of this id.
            Conflict: the target has the traffic already.
        """
        with self._delivery.engine.begin() as connection:
            found = repository.get(connection, rollback_id)
            if found.state is State.FAILED:
                return found
            why = reason or f"By hand, by {actor}."
            moved = repository.move(
                connection, found, State.FAILED, actor=actor, at=clock.now(), reason=why
            )
            table = self._delivery.revise(connection, f"rollback {found.id} was declined")
        self._delivery.publisher.publish(table)
        return moved

    def get(self, rollback_id: str) -> Rollback:
        """One rollback. Raises NotFound."""
        with reading(self._delivery.engine) as connection:
            return repository.get(connection, rollback_id)

    def page(self, model: str | None, *, limit: int, after: str | None) -> list[Rollback]:
        """A page of rollbacks, newest first; ``after`` is the last id of the page before."""
        with reading(self._delivery.engine) as connection:
            return repository.listing(connection, model, limit, after)

    # ------------------------------------------------------------------ fallbacks

    def fallbacks(self) -> list[Fallback]:
        """What models answer where none of their versions can."""
        with reading(self._delivery.engine) as connection:
            return repository.fallbacks(connection)

    def set_fallback(self, model: str, answer: Answer, *, actor: str, reason: str) -> Fallback:
        """Have a model answer this where none of its versions can.

        Raises:
            NotFound: there is no such model.
            InvalidInput: the model cannot answer that.
        """
        known = self._delivery.registry.versions(model, 1)[0]
        classes = known.manifest.classes
        if known.task == "classification" and classes and answer not in classes:
            raise InvalidInput(
                f"{model} never answers {answer!r}",
                where="answer",
                remedy=f"Its classes are: {', '.join(map(repr, classes))}.",
            )
        if known.task == "regression" and (isinstance(answer, bool | str)):
            raise InvalidInput(
                f"{model} answers numbers, not {answer!r}", where="answer", remedy="Give a number."
            )
        made = Fallback(model, answer, actor, reason or f"By hand, by {actor}.", clock.now())
        with self._delivery.engine.begin() as connection:
            repository.set_fallback(connection, made)
            table = self._delivery.revise(connection, f"the fallback of {model} is set")
        self._delivery.publisher.publish(table)
        return made

    def clear_fallback(self, model: str) -> None:
        """Have a model answer with its failure again; idempotent. Raises NotFound."""
        self._delivery.registry.versions(model, 1)
        with self._delivery.engine.begin() as connection:
            if not repository.clear_fallback(connection, model):
                return
            table = self._delivery.revise(connection, f"the fallback of {model} is cleared")
        self._delivery.publisher.publish(table)

    # ------------------------------------------------------------------ what the controller drives

    def step(self, now: datetime, guard: Guard = unguarded) -> bool:
        """Bring every open rollback as far as the facts allow; whether one is open.

        Args:
            now: the time.
            guard: what makes sure that a controller may still write.
        """
        workers: tuple[WorkerView, ...] = ()
        with reading(self._delivery.engine) as connection:
            found = repository.open_ones(connection)
            if found:
                workers = deployments.workers(connection, now, self._delivery.worker_seconds)
        ids = {item.id for item in found}
        for kept in (self._bands, self._next_look, self._next_told):
            for gone in kept.keys() - ids:
                del kept[gone]
        pause = max(_LOOK_SECONDS, _SECONDS_EACH * len(found))
        for rollback in found:
            if clock.monotonic() < self._next_look.get(rollback.id, 0.0):
                continue
            try:
                moved = self._advance(rollback, workers, now, guard)
            except Conflict as conflict:
                _log.info("rollback moved meanwhile", id=rollback.id, why=str(conflict))
            except Exception:
                # One that cannot be judged must not hold up the others.
                _log.exception("rollback could not be seen through", id=rollback.id)
            else:
                if not moved and rollback.state is State.VERIFYING:
                    self._next_look[rollback.id] = clock.monotonic() + pause
        return bool(found)

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
        with self._delivery.engine.begin() as connection:
            guard(connection)
            reason = f"{label} is loaded on all {len(workers)} workers."
            routed, table = self._route(connection, rollback, reason, now)
        self._tell(routed, table)
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
            with self._delivery.engine.begin() as connection:
                guard(connection)
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
            later = next(iter(deployments.live(connection, rollback.model)), None)
            found = verify.judge(self._case(connection, rollback, workers, now))
        if found.state is None and later is not None and later.phase is not Phase.PENDING:
            why = f"The deployment {later.id} has changed the traffic meanwhile."
            found = Judgement(State.UNVERIFIED, why, found.findings)
        if found.state is not None:
            self._end(rollback, found.state, found.reason, now, guard, found)
            return True
        if clock.monotonic() >= self._next_told.get(rollback.id, 0.0):
            self._next_told[rollback.id] = clock.monotonic() + _TELL_SECONDS
            with self._delivery.engine.begin() as connection:
                guard(connection)
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
        since = rollback.reported_at or routed
        after = vitals.stretches(connection, model, since, now + ahead)
        return Case(
            rollback=rollback,
            bands=self._bands[rollback.id],
            workers=workers,
            now=now,
            after=counts.total(item.counts for item in after if item.version == rollback.to),
            target=[item.counts for item in beside if item.version == rollback.to],
            other=[item.counts for item in beside if item.version == rollback.taken_back],
        )

    # ------------------------------------------------------------------ inside

    def _look(
        self,
        connection: Connection,
        model: str,
        version: str | None,
        now: datetime,
        *,
        hold: bool = True,
    ) -> _Asked:
        """What is asked for and what there is; refused where it leads nowhere."""
        registry = self._delivery.registry
        if hold:
            versions.hold_model(connection, model)
        live = next(iter(deployments.live(connection, model)), None)
        champion = next(iter(versions.in_stage(connection, Stage.PRODUCTION, model)), None)
        if champion is None:
            registry.versions(model, 1)
            raise Conflict(
                f"no version of {model} is in production",
                where=model,
                remedy="Deploy a version first.",
            )
        if version is not None:
            plan.check(version, live)
        number = version or (live.champion if live else None)
        if number is None:
            number = plan.former(champion, versions.history(connection, model, _MOST_HISTORY))
        target = versions.find(connection, model, number)
        if target is None:
            target = registry.get(model, number)
        if target.failed_gates:
            raise Conflict(
                f"version {target.version} failed gates and cannot have traffic",
                where=f"{model} {target.version}",
                faults=[f"{gate.name}: {gate.detail}" for gate in target.failed_gates],
                remedy="Name another version: serinus rollback MODEL --to VERSION.",
            )
        present = repository.find_open(connection, model)
        workers = deployments.workers(connection, now, self._delivery.worker_seconds)
        return _Asked(champion, target, live, present, workers)

    def _write(self, connection: Connection, asked: _Asked) -> RollbackPlan:
        return plan.write(
            asked.target,
            asked.taken_back,
            asked.workers,
            folder=_folder(asked.target),
            live=asked.live,
            criteria=repository.criteria(connection, self._delivery.types, asked.target.model),
        )

    def _plan(
        self,
        connection: Connection,
        asked: _Asked,
        known: _Known,
    ) -> Rollback:
        """The record of what is asked for: stored, and nothing done yet."""
        target, present, live, at = asked.target, asked.present, asked.live, known.at
        written = self._write(connection, asked)
        if not asked.warm and _folder(target).passed is False:
            raise Conflict(
                f"version {target.version} cannot be loaded any more",
                where=f"{target.model} {target.version}",
                faults=[_folder(target).detail],
                remedy="Name a version whose artifacts are still there.",
            )
        if present is not None and present.state is State.PLANNED and present.to == target.version:
            return present
        if present is not None:
            repository.give_up(connection, present, at, f"Another was asked for: {known.reason}")
        made = Rollback(
            id=repository.new_id(at),
            model=target.model,
            taken_back=asked.taken_back,
            to=target.version,
            deployment=live.id if live else None,
            cause=known.cause,
            actor=known.actor,
            reason=known.reason,
            state=State.PLANNED,
            plan=written,
            criteria=repository.criteria(connection, self._delivery.types, target.model),
            sound_until=known.sound_until or (live.created_at if live else at - _UNNOTICED),
            steps=(Moment(State.PLANNED, at, known.actor, known.reason),),
            findings=(),
            seen=Seen(),
            revision=0,
            started_at=at,
        )
        repository.add(connection, made)
        return made

    def _begin(
        self, connection: Connection, asked: _Asked, made: Rollback, now: datetime
    ) -> tuple[Rollback, RoutingTable]:
        """End a live deployment, and give the target the traffic or have it loaded."""
        live = asked.live
        if live is not None:
            decision = Decision(Phase.ROLLED_BACK, live.step, Outcome.ROLLBACK, made.reason)
            self._delivery.move(connection, live, decision, actor=made.actor, at=now)
        if asked.warm:
            return self._route(connection, made, made.reason, now)
        reason = f"The workers load {made.model}@{made.to}."
        warming = repository.move(
            connection, made, State.WARMING, actor=made.actor, at=now, reason=reason
        )
        return warming, self._delivery.revise(connection, f"rollback {made.id} begins")

    def _route(
        self, connection: Connection, rollback: Rollback, reason: str, now: datetime
    ) -> tuple[Rollback, RoutingTable]:
        """Give the target all traffic, in the caller's transaction."""
        model, target, actor = rollback.model, rollback.to, rollback.actor
        found = versions.find(connection, model, target)
        way = [Stage.PRODUCTION]
        if found is not None and found.stage is Stage.NONE:
            way = [Stage.STAGING, Stage.PRODUCTION]
        for stage in way:
            self._delivery.registry.transition(
                connection, model, target, stage, actor=actor, reason=rollback.reason
            )
        routed = repository.move(
            connection, rollback, State.ROUTED, actor=actor, at=now, reason=reason, routed_at=now
        )
        table = self._delivery.revise(
            connection, f"rollback of {model} to {target}: {rollback.reason}"
        )
        return msgspec.structs.replace(routed, revision=table.revision), table

    def _tell(self, rollback: Rollback, table: RoutingTable) -> None:
        """Routing first; what only people look at afterwards."""
        self._delivery.publisher.publish(table)
        _log.info(
            "rollback",
            id=rollback.id,
            model=rollback.model,
            taken_back=rollback.taken_back,
            to=rollback.to,
            state=rollback.state,
            revision=table.revision,
            reason=rollback.reason,
        )
        self._delivery.registry.mirror_soon(rollback.model)

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
        with self._delivery.engine.begin() as connection:
            guard(connection)
            repository.move(
                connection, rollback, to, actor=ACTOR, at=now, reason=reason, findings=findings
            )
            if rollback.deployment is not None and to is State.NOT_THE_MODEL:
                repository.remark(connection, rollback.deployment, reason)
            if rollback.state is State.WARMING:
                table = self._delivery.revise(connection, f"rollback {rollback.id} failed")
        if table is not None:
            self._delivery.publisher.publish(table)
        tell = _log.info if to is State.VERIFIED else _log.warning
        tell(
            "rollback ended",
            id=rollback.id,
            model=rollback.model,
            to=rollback.to,
            state=to,
            reason=reason,
        )


def _repeated(asked: _Asked, version: str | None) -> Rollback | None:
    """The rollback that is under way and that this one asks for once more, if it does."""
    present = asked.present
    if present is None or asked.live is not None or present.state is State.PLANNED:
        return None
    # Two who ask for no version in particular at the same time mean the same one.
    return present if version is None or version == present.to else None


def _nothing_to_do(connection: Connection, made: Rollback, now: datetime) -> Rollback:
    """The target has all traffic: that is done, and there is nothing to verify."""
    reason = f"{made.to} had all traffic already; nothing was changed."
    for state in (State.ROUTED, State.VERIFYING, State.VERIFIED):
        made = repository.move(connection, made, state, actor=made.actor, at=now, reason=reason)
    return made


def _folder(version: ModelVersion) -> Check:
    """Whether a version's artifacts can be read from here."""
    if "://" in version.uri:
        return Check("artifacts", None, f"{version.uri} is read by the workers.")
    if (Path(version.uri) / MANIFEST_FILE).is_file():
        return Check("artifacts", passed=True, detail=f"{version.uri} can be read.")
    return Check("artifacts", passed=False, detail=f"{version.uri} cannot be read.")


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


def _is_late(rollback: Rollback, now: datetime) -> bool:
    since = rollback.routed_at or rollback.started_at
    return (now - since).total_seconds() > rollback.criteria.verify_seconds
