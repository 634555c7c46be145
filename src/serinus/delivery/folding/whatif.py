"""What another policy would have decided on recorded traffic: at its gates, then in its soak. Pure.

Past its last gate it is judged by all that was recorded later. In the recorded soak the same
requests were the challenger's under both policies; in the record's further steps it had a share of
them only, so what all traffic would have shown is not known. What was compared is told in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from serinus.delivery.types import Outcome, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.delivery.verdicts.judge import judge


class Passed(msgspec.Struct, frozen=True):
    """A gate that was passed, or would have been, after so many requests and pairs in all."""

    step: int
    at: datetime
    requests: int


class WhatIf(msgspec.Struct, frozen=True):
    """What another policy would have decided on the same traffic.

    ``outcome`` is ``rollback``, ``promote`` (every gate passed, and no harm proven later),
    ``inconclusive`` or ``continue`` (undecided at the end of the traffic), ``at`` so many
    ``requests`` and pairs, having ``passed`` these gates; the fields with ``recorded_`` say what
    was decided in fact. The other policy was not asked after ``skipped`` of the batches: very long
    rollouts are looked at less often. ``compared`` says by what it was judged past its gates, what
    was left out, and what cannot be known.
    """

    deployment: str
    steps: tuple[str, ...]
    outcome: Outcome
    at: datetime | None
    requests: int
    reason: str
    passed: tuple[Passed, ...]
    recorded_outcome: Outcome
    recorded_at: datetime | None
    recorded_requests: int
    recorded_reason: str
    recorded_passed: tuple[Passed, ...]
    skipped: int = 0
    compared: str = ""


@dataclass(frozen=True)
class Moment:
    """What was known after a batch, and since when the challenger had all traffic, if it had."""

    at: datetime
    evidence: Evidence
    soaking: datetime | None = None


@dataclass(frozen=True)
class Decided:
    """What another policy decides when, after so many requests and pairs, and by what."""

    outcome: Outcome
    at: datetime | None
    requests: int
    reason: str
    passed: tuple[Passed, ...]
    compared: str = ""


@dataclass
class _Course:
    """The batches in order; how many requests and pairs came in the record's steps and its soak."""

    moments: Iterator[Moment]
    steps: int = 0
    soak: int = 0

    def __iter__(self) -> Iterator[Moment]:
        for moment in self.moments:
            seen = moment.evidence
            total = seen.total(Measure.ERROR) + seen.total(Measure.PAIR_ERROR)
            if moment.soaking is None:
                self.steps = total - self.soak
            else:
                self.soak = total - self.steps
            yield moment


def decide(begun: datetime, other: Plan, told: Iterable[Moment]) -> Decided:
    """Go through the steps of another plan, and its soak, as the controller would have.

    Args:
        begun: when the first step began.
        other: the plan under the other policy.
        told: what was known after each batch, in order.
    """
    course = _Course(iter(told))
    gates = _through_gates(begun, other, course)
    if gates.outcome is not Outcome.PROMOTE:
        return replace(gates, compared=_undecided(course.soak))
    if not other.promotes:
        return gates
    before = (course.steps, course.soak)
    decided = _through_soak(other, gates, course) if other.soak_seconds else gates
    judged = (course.steps - before[0], course.soak - before[1])
    if decided.outcome is Outcome.PROMOTE:
        # To the end: what is left out is counted.
        for _ in course:
            pass
    left = course.steps + course.soak - sum(before) - sum(judged)
    said = [*_judged(before[1], *judged, decided.outcome)]
    if decided.outcome is Outcome.PROMOTE:
        said += _left(other, left, sum(judged))
    said += _unknown(other, gates, decided, judged[0])
    return replace(decided, compared=" ".join(said))


def _through_gates(begun: datetime, other: Plan, course: Iterable[Moment]) -> Decided:
    passed: list[Passed] = []
    verdict, at = judge(other, 0, ev.EMPTY), None
    entered, before = begun, 0
    for moment in course:
        at, learnt = moment.at, moment.evidence
        verdict = judge(other, len(passed), learnt)
        while (
            verdict.outcome is Outcome.PROMOTE
            and verdict.requests - before >= other.steps[len(passed)].min_requests
            and (at - entered).total_seconds() >= other.steps[len(passed)].min_seconds
        ):
            passed.append(Passed(len(passed), at, verdict.requests))
            if len(passed) == len(other.steps):
                return Decided(Outcome.PROMOTE, at, verdict.requests, verdict.reason, (*passed,))
            entered, before = at, verdict.requests
            verdict = judge(other, len(passed), learnt)
        if verdict.outcome in (Outcome.ROLLBACK, Outcome.INCONCLUSIVE):
            break
        if (
            len(passed) < len(other.steps)
            and (at - entered).total_seconds() > other.steps[len(passed)].max_seconds
        ):
            late = f"Step {len(passed) + 1} was undecided after its longest time. {verdict.reason}"
            return Decided(Outcome.INCONCLUSIVE, at, verdict.requests, late, (*passed,))
    outcome = Outcome.CONTINUE if verdict.outcome is Outcome.PROMOTE else verdict.outcome
    return Decided(outcome, at, verdict.requests, verdict.reason, (*passed,))


def _through_soak(other: Plan, gates: Decided, course: Iterable[Moment]) -> Decided:
    """What is left of the record, judged as a soak is: until harm, or as long as its soak is."""
    for moment in course:
        verdict = judge(other, len(other.steps), moment.evidence)
        if verdict.outcome is Outcome.ROLLBACK:
            found = (moment.at, verdict.requests, verdict.reason)
            return Decided(Outcome.ROLLBACK, *found, gates.passed)
        if moment.soaking is not None and gates.at is not None:
            # As the controller: harm first, and only then time.
            soaked = moment.at - max(moment.soaking, gates.at)
            if soaked.total_seconds() >= other.soak_seconds:
                break
    return gates


def _undecided(soak: int) -> str:
    if not soak:
        return ""
    return (
        f"{_counted(soak)} of these came in the recorded soak, when the challenger had all "
        "traffic. The other policy had not promoted it: what its share would have shown cannot be "
        "known."
    )


def _judged(late: int, steps: int, soak: int, outcome: Outcome) -> Iterator[str]:
    if late:
        yield (
            f"The other policy promotes later than the record did: its gates asked {_counted(late)}"
            " of the recorded soak, when its share would have been smaller, and only what came "
            "after that was judged as its soak."
        )
    elif steps:
        yield "The other policy promotes sooner than the record did."
    parts = []
    if steps:
        parts.append(f"{_counted(steps)} of the record's further steps, with a share of traffic")
    if soak:
        parts.append(
            f"{_counted(soak)} of the recorded soak, which were the challenger's under both"
        )
    if outcome is Outcome.ROLLBACK and not parts:
        parts.append("what was told later of the requests before")
    if parts:
        proven = "prove harm" if outcome is Outcome.ROLLBACK else "prove no harm"
        yield f"Judged under it after its promotion: {', and '.join(parts)}. They {proven}."


def _left(other: Plan, left: int, judged: int) -> Iterator[str]:
    if left and not other.soak_seconds:
        yield f"It has no soak: {_counted(left)} recorded after its promotion were left out."
    elif left:
        yield f"{_counted(left)} came later than its soak is long and were left out."
    elif not judged:
        yield "No request was recorded after its promotion: what a soak would show is not known."


def _unknown(other: Plan, gates: Decided, decided: Decided, steps: int) -> Iterator[str]:
    if not steps:
        return
    yield "What all traffic would have shown from its promotion on cannot be known."
    if decided.outcome is not Outcome.ROLLBACK or decided.at is None or gates.at is None:
        return
    if (decided.at - gates.at).total_seconds() > other.soak_seconds:
        yield (
            f"Its own soak of {other.soak_seconds:g} s would have been over by then: the recorded "
            "one stands in its place."
        )


def _counted(number: int) -> str:
    return f"{number:,} requests and pairs"
