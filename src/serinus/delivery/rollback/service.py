"""Taking models back, as a person asks for it, and what is answered where nothing else can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from serinus import clock
from serinus.delivery import turns
from serinus.delivery.leases import Guard, unguarded
from serinus.delivery.reconcile import Decision, WorkerView
from serinus.delivery.records import deployments, workers
from serinus.delivery.rollback import handover, plan, repository
from serinus.delivery.rollback.handover import Moves
from serinus.delivery.rollback.types import (
    Cause,
    Check,
    DefaultAnswer,
    Moment,
    Rollback,
    RollbackPlan,
    Seen,
    State,
)
from serinus.delivery.types import Deployment, Outcome, Phase
from serinus.errors import Conflict, InvalidInput
from serinus.registry import repository as versions
from serinus.registry.types import ModelVersion, Stage
from serinus.store.engine import reading
from serinus.wire import MANIFEST_FILE, Answer, RoutingTable

_MOST_HISTORY = 10_000
# When nobody knows since when something has been wrong: not longer than this, it is thought.
_UNNOTICED = timedelta(hours=1)
# Who asks once more so soon after the end of a rollback, and names no version, means that one.
_AGAIN = timedelta(minutes=1)


@dataclass(frozen=True)
class _Asked:
    """What a rollback is about, as it stands in the caller's transaction."""

    champion: ModelVersion
    target: ModelVersion
    live: Deployment | None
    present: Rollback | None
    ended: Rollback | None
    workers: tuple[WorkerView, ...]
    served: bool

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
        guard: Guard = unguarded,
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
            guard: what makes sure that a controller may still write.

        Raises:
            NotFound: there is no such model or version, or nothing to go back to.
            Conflict: no version is in production, the target is the champion, which has all
                traffic, or it cannot be one.
        """
        why = reason or f"By hand, by {actor}."
        now = clock.now()
        with turns.turn(self._delivery.engine, guard) as connection:
            asked = self._look(connection, model, version, now, by_hand=cause == "by hand")
            repeated = _repeated(asked, version)
            if repeated is not None:
                return repeated
            _check_moves(asked)
            known = _Known(actor, why, cause, now, sound_until)
            made = self._plan(connection, asked, known)
            if only_proposed:
                return made
            done, table = self._begin(connection, asked, made, now)
        handover.tell(self._delivery, done, table, guard)
        return done

    def propose(self, model: str, version: str | None = None) -> RollbackPlan:
        """The written plan of a rollback; nothing is done. Raises as :meth:`roll_back` does."""
        with reading(self._delivery.engine) as connection:
            asked = self._look(connection, model, version, clock.now(), hold=False)
            _check_moves(asked)
            return self._write(connection, asked)

    def decline(self, rollback_id: str, *, actor: str, reason: str) -> Rollback:
        """Do not carry out what was proposed, or is still being loaded; idempotent.

        Raises:
            NotFound: there is none of this id.
            Conflict: the target has the traffic already.
        """
        with turns.turn(self._delivery.engine) as connection:
            found = repository.get(connection, rollback_id)
            if found.state is State.FAILED:
                return found
            why = reason or f"By hand, by {actor}."
            moved = repository.move(
                connection, found, State.FAILED, actor=actor, at=clock.now(), reason=why
            )
            table = self._delivery.tables.revise(connection, f"rollback {found.id} was declined")
        self._delivery.tables.bring(table)
        return moved

    def get(self, rollback_id: str) -> Rollback:
        """One rollback. Raises NotFound."""
        with reading(self._delivery.engine) as connection:
            return repository.get(connection, rollback_id)

    def page(self, model: str | None, *, limit: int, after: str | None) -> list[Rollback]:
        """A page of rollbacks, newest first; ``after`` is the last id of the page before."""
        with reading(self._delivery.engine) as connection:
            return repository.listing(connection, model, limit, after)

    # ------------------------------------------------------------------ defaults

    def defaults(self) -> list[DefaultAnswer]:
        """What models answer where none of their versions can."""
        with reading(self._delivery.engine) as connection:
            return repository.defaults(connection)

    def set_default(self, model: str, answer: Answer, *, actor: str, reason: str) -> DefaultAnswer:
        """Have a model answer this where none of its versions can.

        Where the default answers alone, it goes on to: whoever corrects it in an incident does
        not want the versions asked again.

        Raises:
            NotFound: there is no such model.
            InvalidInput: the model cannot answer that.
        """
        known = self._delivery.registry.versions(model, 1)[0]
        fitting = known.manifest.fitting(answer)
        if fitting is None:
            classes = ", ".join(map(repr, known.manifest.classes))
            raise InvalidInput(
                f"{model} never answers {answer!r}"[:200],
                where="answer",
                remedy=f"Its classes are: {classes}." if classes else "Give a finite number.",
            )
        made = DefaultAnswer(model, fitting, actor, reason or f"By hand, by {actor}.", clock.now())
        with turns.turn(self._delivery.engine) as connection:
            before = repository.default(connection, model)
            if before is not None:
                made = msgspec.structs.replace(made, alone_until=before.alone_until)
            repository.set_default(connection, made)
            told = f"the default of {model} is set, by {actor}: {made.reason}"
            table = self._delivery.tables.revise(connection, told)
        self._delivery.tables.bring(table)
        return made

    def clear_default(self, model: str, *, actor: str, reason: str) -> None:
        """Have a model answer with its failure again; idempotent. Raises NotFound."""
        self._delivery.registry.versions(model, 1)
        with turns.turn(self._delivery.engine) as connection:
            known = repository.default(connection, model)
            if known is None:
                return
            repository.ask_again(connection, model, known)
            repository.clear_default(connection, model)
            why = reason or f"By hand, by {actor}."
            told = f"the default of {model} is cleared, by {actor}: {why}"
            table = self._delivery.tables.revise(connection, told)
        self._delivery.tables.bring(table)

    # ------------------------------------------------------------------ inside

    def _look(
        self,
        connection: Connection,
        model: str,
        version: str | None,
        now: datetime,
        *,
        hold: bool = True,
        by_hand: bool = True,
    ) -> _Asked:
        """What is asked for and what there is; refused where it leads nowhere.

        Only a person may mean what just ended: whom an alarm names is harmed now.
        """
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
        present = repository.find_open(connection, model)
        ended = None
        if by_hand and live is None:
            ended = _just_ended(connection, model, champion, now)
        number = version or (live.champion if live else None)
        led = ended or (present if present and _has_led(present, champion) else None)
        if number is None and led is not None:
            # Who asks while it is being verified means that one, not one version further.
            number = led.to
        changes = versions.history(connection, model, _MOST_HISTORY)
        if number is None:
            lost = repository.taken_back(connection, model)
            number = plan.former(champion, changes, lost)
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
        reporting = workers.read(connection, now, self._delivery.worker_seconds)
        served = plan.has_served(target.version, changes)
        return _Asked(champion, target, live, present, ended, reporting, served)

    def _write(self, connection: Connection, asked: _Asked) -> RollbackPlan:
        return plan.write(
            asked.target,
            asked.taken_back,
            asked.workers,
            folder=_folder(asked.target),
            live=asked.live,
            served=asked.served,
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
            return handover.route(self._delivery, connection, made, made.reason, now)
        reason = f"The workers load {made.model}@{made.to}."
        warming = repository.move(
            connection, made, State.WARMING, actor=made.actor, at=now, reason=reason
        )
        return warming, self._delivery.tables.revise(connection, f"rollback {made.id} begins")


def _has_led(present: Rollback, champion: ModelVersion) -> bool:
    """Whether a rollback that is under way has brought the champion back."""
    return present.state in (State.ROUTED, State.VERIFYING) and present.to == champion.version


def _repeated(asked: _Asked, version: str | None) -> Rollback | None:
    """The rollback that is under way, or just was, and that this one asks for once more."""
    if version is None and asked.ended is not None:
        return asked.ended
    present = asked.present
    if present is None or asked.live is not None or present.state is State.PLANNED:
        return None
    if present.state is not State.WARMING and asked.champion.version != present.to:
        return None  # Another version was promoted since.
    # Two who ask for no version in particular at the same time mean the same one.
    return present if version is None or version == present.to else None


def _just_ended(
    connection: Connection, model: str, champion: ModelVersion, now: datetime
) -> Rollback | None:
    """The model's newest rollback, if it ended just now and its target still holds Production."""
    newest = repository.newest(connection, model)
    if newest is None or newest.ended_at is None or newest.routed_at is None:
        return None
    fresh = timedelta(0) <= now - newest.ended_at < _AGAIN
    return newest if fresh and newest.to == champion.version else None


def _check_moves(asked: _Asked) -> None:
    """Refuse a rollback that would take nothing back."""
    if asked.live is None and asked.target.version == asked.champion.version:
        present = asked.present
        done = "Nothing is to be done."
        if present is not None and _has_led(present, asked.champion):
            done = f"Rollback {present.id} has brought it back and looks whether that has helped."
        raise Conflict(
            f"version {asked.target.version} has all traffic already: there is nothing to take "
            "back",
            where=asked.target.model,
            remedy=f"{done} For another version: serinus rollback {asked.target.model} --to "
            "VERSION.",
        )


def _folder(version: ModelVersion) -> Check:
    """Whether a version's artifacts can be read from here."""
    if "://" in version.uri:
        return Check("artifacts", None, f"{version.uri} is read by the workers.")
    if (Path(version.uri) / MANIFEST_FILE).is_file():
        return Check("artifacts", passed=True, detail=f"{version.uri} can be read.")
    return Check("artifacts", passed=False, detail=f"{version.uri} cannot be read.")
