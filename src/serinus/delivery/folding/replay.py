"""Verdicts computed again from the ledger: bit for bit as they were, or under another policy.

A replay folds the very batches that were folded, in the same order and at the same times, with the
very functions that folded them, into a store in memory. So evidence and verdicts must come out
equal; where they do not, the ledger, the store or the code has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine

from serinus import clock
from serinus.delivery import interventions
from serinus.delivery.experiments import comparisons, design, measuring, steering
from serinus.delivery.experiments import repository as experiments
from serinus.delivery.experiments.repository import State
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.folding.absorb import absorb
from serinus.delivery.folding.whatif import Moment, Passed, WhatIf, decide
from serinus.delivery.forecast.simulation import step_name
from serinus.delivery.planning import decoding, plan
from serinus.delivery.planning.plan import Basis
from serinus.delivery.records import awaiting, deployments, evidence, journal, looks
from serinus.delivery.records.journal import Fold
from serinus.delivery.types import (
    LIVE,
    Deployment,
    DeploymentSpec,
    Outcome,
    Phase,
    Plan,
    Transition,
    Verdict,
)
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Evidence
from serinus.delivery.verdicts.judge import judge
from serinus.errors import InvalidInput
from serinus.ledger.types import Offset, Reader
from serinus.store import schema
from serinus.store.engine import open_engine, reading

# What the traffic of the past cannot answer: other requests would have been sent, or otherwise.
_FIXED = (
    "model", "challenger", "champion", "strategy", "unit", "entities", "shadow", "shares",
    "replicas", "batch",
)  # fmt: skip
# Every look costs about a millisecond. Beyond this many, every k-th batch is looked at.
_MOST_LOOKS = 5_000


class Mismatch(msgspec.Struct, frozen=True):
    """A recorded verdict that did not come out again."""

    at: datetime
    fold: int
    recorded: str
    replayed: str


class Replay(msgspec.Struct, frozen=True):
    """What a replay found.

    ``looks`` recorded verdicts were computed again from ``events`` events in ``folds`` batches;
    ``evidence`` is the digest of the evidence at the end, ``evidence_equal`` whether it is the
    stored one: of an experiment that of every challenger, and what was measured. ``unreplayable``
    further verdicts were recorded on requests of which it was not yet kept in what batches they
    came. ``exact`` says that all that could be computed again came out
    bit for bit.
    """

    deployment: str
    folds: int
    events: int
    looks: int
    evidence: str
    evidence_equal: bool
    mismatches: tuple[Mismatch, ...]
    unreplayable: int = 0

    @property
    def exact(self) -> bool:
        """Whether all verdicts that were computed again, and the evidence, came out equal."""
        return self.evidence_equal and not self.mismatches


@dataclass(frozen=True)
class Told:
    """What is known after a batch: by the challenger's place its evidence; what was measured."""

    evidence: Mapping[int, Evidence]
    sums: Sums


@dataclass(frozen=True)
class Replays:
    """Looks into the past of an installation's deployments.

    Attributes:
        engine: the store.
        reader: of the ledger.
    """

    engine: Engine
    reader: Reader

    def replay(self, deployment_id: str) -> Replay:
        """Compute every recorded verdict of a deployment again.

        Raises:
            NotFound: there is no such deployment, or the ledger does not reach back so far.
            Conflict: what is stored of it cannot be read.
        """
        with reading(self.engine) as connection:
            deployment = deployments.get(connection, deployment_id)
            interventions.check_readable(deployment)
            folds = list(journal.folds(connection, *_ids(deployment)))
            found = _looks(connection, *_ids(deployment))
            stored = _stored(connection, deployment)
            trial = experiments.load(connection, deployment_id)
        # Of the others it is not known which batches had come when their requests were counted.
        looks = [look for look in found if look.fold or not look.verdict.requests]
        pending = iter(looks)
        look = next(pending, None)
        mismatches: list[Mismatch] = []
        told, events = Told(dict.fromkeys(stored, ev.EMPTY), Sums()), 0
        for fold, following, read in self._retell(deployment, folds, trial):
            while look is not None and look.fold < fold.id:
                mismatches += _compare(deployment, look, told.evidence)
                look = next(pending, None)
            told, events = following, events + read
        while look is not None:
            mismatches += _compare(deployment, look, told.evidence)
            look = next(pending, None)
        mismatches += _reallocated(deployment, trial, told.sums)
        sums_equal = trial is None or told.sums.encode() == trial.sums.encode()
        return Replay(
            deployment=deployment_id,
            folds=len(folds),
            events=events,
            looks=len(looks),
            evidence=told.evidence[_lead(deployment)].digest(),
            evidence_equal=told.evidence == stored and sums_equal,
            mismatches=tuple(mismatches),
            unreplayable=len(found) - len(looks),
        )

    def whatif(self, deployment_id: str, policy: Mapping[str, Any]) -> WhatIf:
        """What a deployment's traffic would have decided under another policy.

        Args:
            deployment_id: whose traffic.
            policy: fields of a :class:`DeploymentSpec` in place of the deployment's own.

        Raises:
            NotFound: there is no such deployment, or the ledger does not reach back so far.
            Conflict: what is stored of it cannot be read.
            InvalidInput: the policy has unknown fields, or asks what the traffic cannot answer.
        """
        with reading(self.engine) as connection:
            deployment = deployments.get(connection, deployment_id)
            interventions.check_readable(deployment)
            folds = list(journal.folds(connection, *_ids(deployment)))
            looks = _looks(connection, deployment_id)
            begun = _begun(connection, deployment)
            soaks = _Soaks.of(connection, deployment.id)
        other = msgspec.structs.replace(deployment, plan=_planned(deployment, policy))
        asked = _asked(len(folds))
        told = (
            Moment(fold.at, told.evidence[_lead(deployment)], soaks.since(fold.id))
            for number, (fold, told, _) in enumerate(self._retell(other, folds), 1)
            if number in asked
        )
        decided = decide(begun, comparisons.own(other).plan, told)
        last = looks[-1] if looks else None
        said = last.verdict if last and deployment.live else deployment
        return WhatIf(
            deployment=deployment.id,
            steps=tuple(step_name(step) for step in other.plan.steps),
            outcome=decided.outcome,
            at=decided.at,
            requests=decided.requests,
            reason=decided.reason,
            passed=decided.passed,
            recorded_outcome=said.outcome if isinstance(said, Verdict) else said.verdict,
            recorded_at=last.at if last else None,
            recorded_requests=last.verdict.requests if last else 0,
            recorded_reason=said.reason,
            recorded_passed=_recorded(looks),
            skipped=len(folds) - len(asked),
            compared=f"{decided.compared} {_fell(deployment)}".strip(),
        )

    def _retell(
        self, deployment: Deployment, folds: Iterable[Fold], trial: State | None = None
    ) -> Iterator[tuple[Fold, Told, int]]:
        """What was known after each batch, and how many events it read.

        Of an experiment as it stands (``trial``) also what it measures is counted again.
        """
        with reading(self.engine) as connection:
            entered = deployments.phases(connection, deployment.id)
        then = deployment
        with _memory(deployment, trial) as connection:
            for fold in folds:
                while entered and entered[0][0] < fold.id:
                    phase = entered.pop(0)[1]
                    if phase not in LIVE:
                        # It ended here and was retried: what waited then does not any more.
                        awaiting.forget(connection, deployment.comparisons.values())
                    then = msgspec.structs.replace(deployment, phase=phase)
                records = [
                    (record.id, record.event)
                    for span in fold.spans
                    for record in self.reader.between(
                        span.writer, Offset(*span.start), Offset(*span.end)
                    )
                ]
                told, judged = comparisons.project(records, [then])
                absorb(connection, told, judged, fold.at, complete=fold.complete)
                if trial is not None and records:
                    measuring.measure(connection, records, [then], fold.at)
                state = experiments.load(connection, deployment.id)
                sums = Sums() if state is None else state.sums
                yield fold, Told(_stored(connection, deployment), sums), len(records)


@dataclass(frozen=True)
class _Soaks:
    """After which folds a deployment went where, in the order of its history."""

    moves: Sequence[tuple[int, Transition]]

    @classmethod
    def of(cls, connection: Connection, deployment: str) -> _Soaks:
        after = [fold for fold, _ in deployments.phases(connection, deployment)]
        return cls([*zip(after, deployments.history(connection, deployment), strict=True)])

    def since(self, fold: int) -> datetime | None:
        """Since when the challenger had all traffic as a batch was folded; None if it had not."""
        before = [move for after, move in self.moves if after < fold]
        return before[-1].at if before and before[-1].to_phase is Phase.SOAKING else None


@contextmanager
def _memory(deployment: Deployment, trial: State | None) -> Iterator[Connection]:
    """A store that knows only this deployment, gone when it is closed."""
    engine = open_engine("sqlite://")
    try:
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            evidence.begin(connection, deployment)
            if trial is not None:
                begun = State(trial.setup, design.of(deployment).shares, {}, Sums())
                experiments.save(connection, deployment.id, begun, deployment.created_at)
            yield connection
    finally:
        engine.dispose()


def _ids(deployment: Deployment) -> set[str]:
    """Under which ids a deployment's batches and looks are kept, whoever led when."""
    places = range(len(deployment.challengers))
    return {deployment.id, *(deployment.comparison(place) for place in places)}


def _lead(deployment: Deployment) -> int:
    return deployment.challengers.index(deployment.challenger)


def _stored(connection: Connection, deployment: Deployment) -> dict[int, Evidence]:
    """By the challenger's place, the evidence so far."""
    names = deployment.comparisons
    found = evidence.some(connection, [*names.values()])
    return {place: found[name] for place, name in names.items()}


def _looks(connection: Connection, *ids: str) -> list[looks.Look]:
    """In the order of what they knew: one of two controllers may record an older state later."""
    return sorted(looks.every(connection, *ids), key=lambda look: look.fold)


def _asked(folds: int) -> set[int]:
    """After which batches, counted from 1, another policy is asked: evenly, and after the last."""
    every = -(-folds // _MOST_LOOKS) if folds else 1
    return {number for number in range(1, folds + 1) if number % every == 0 or number == folds}


def _begun(connection: Connection, deployment: Deployment) -> datetime:
    """When the first step began; of a deployment that never ran, when it was created."""
    moves = deployments.history(connection, deployment.id)
    ran = (move.at for move in moves if move.to_phase is Phase.RUNNING)
    return next(ran, deployment.created_at)


def _compare(
    deployment: Deployment, look: looks.Look, evidence: Mapping[int, Evidence]
) -> list[Mismatch]:
    soaking = look.step >= len(deployment.plan.steps)
    judged = look.challenger or deployment.challenger
    then = msgspec.structs.replace(
        deployment,
        phase=Phase.SOAKING if soaking else Phase.RUNNING,
        step=look.step,
        challenger=judged,
    )
    again = steering.verdict_of(then, evidence[_lead(then)])
    if look.verdict.outcome is Outcome.ROLLBACK and again.outcome is Outcome.CONTINUE:
        # One of several challengers, which was dropped by this look.
        part = comparisons.own(then)
        again = judge(part.plan, part.step, evidence[_lead(then)])
    if _said(again) == _said(look.verdict):
        return []
    return [Mismatch(look.at, look.fold, _told(look.verdict), _told(again))]


def _reallocated(deployment: Deployment, trial: State | None, sums: Sums) -> list[Mismatch]:
    """Every allocation of an experiment's traffic that does not follow from its look again."""
    if trial is None:
        return []
    looks = {look.number: look for look in sums.looks}
    found = []
    for made in trial.allocations:
        look = looks.get(made.look)
        again = (
            None
            if look is None
            else steering.allocate(deployment, trial, look, made.before, made.dropped)
        )
        if again != made:
            at = clock.from_epoch_us(look.at if look else 0)
            was, now = (f"shares {item.after if item else None}" for item in (made, again))
            found.append(Mismatch(at, 0, f"{was} after look {made.look}", now))
    return found


def _said(verdict: Verdict) -> bytes:
    return msgspec.json.encode(
        (verdict.outcome, verdict.reason, verdict.requests, verdict.guardrails)
    )


def _told(verdict: Verdict) -> str:
    return f"{verdict.outcome} after {verdict.requests}: {verdict.reason}"


def _recorded(looks: Sequence[looks.Look]) -> tuple[Passed, ...]:
    """The gates that were passed in fact: a step's last look, where it says promote."""
    last = {look.step: look for look in looks}
    return tuple(
        Passed(step, look.at, look.verdict.requests)
        for step, look in sorted(last.items())
        if look.verdict.outcome is Outcome.PROMOTE
    )


def _planned(deployment: Deployment, policy: Mapping[str, Any]) -> Plan:
    known, where = deployment.plan, f"policy for {deployment.id}"
    fields = DeploymentSpec.__struct_fields__
    faults = [f"{name}: the traffic of the past cannot answer that" for name in _FIXED]
    faults = [fault for fault in faults if fault.split(":")[0] in policy]
    faults += [decoding.unknown(name, fields, "field") for name in policy if name not in fields]
    for name in policy:
        if name in fields and name not in _FIXED:
            faults += _mistyped(name, policy[name])
    if faults:
        raise InvalidInput(
            "this policy cannot be tried on past traffic",
            where=where,
            faults=faults,
            remedy="Give margins, alphas, tolerances, the label window or least requests.",
        )
    spec = msgspec.convert({**msgspec.to_builtins(deployment.spec), **policy}, DeploymentSpec)
    basis = Basis(
        quality=known.quality,
        score_cuts=known.score_cuts,
        classes=known.classes,
        first=deployment.champion is None,
        breaker=known.breaker,
    )
    return plan.make_plan(spec, basis, salt=known.salt)


def _fell(deployment: Deployment) -> str:
    """Where a recorded rollback fell, if that was in the soak."""
    soaked = deployment.plan.steps and deployment.step >= len(deployment.plan.steps)
    if deployment.phase is Phase.ROLLED_BACK and soaked:
        return "The recorded rollback fell in the recorded soak."
    return ""


def _mistyped(name: str, value: Any) -> list[str]:
    try:
        msgspec.convert({"model": "", "challenger": "", name: value}, DeploymentSpec)
    except msgspec.ValidationError as error:
        return [f"{name}: {error}"]
    return []
