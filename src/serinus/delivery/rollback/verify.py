"""Whether a rollback has helped: a pure function of what is known.

Three questions. Does the target answer everything? Is what was harmed back in its earlier range?
And, where two versions answered side by side, was the other one harmed just as much? If it was, or
if the harm stays, the model was not the cause.

Each answer rests on an e-value of 1000 against its contrary: of a thousand rollbacks of a bad
model one at most is told "not the model" by chance, and of a thousand that did not help one at most
is told "verified".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import log
from typing import NamedTuple

from serinus.delivery.reconcile import WorkerView
from serinus.delivery.rollback import bands, counts
from serinus.delivery.rollback.bands import Band, Measured, in_words
from serinus.delivery.rollback.counts import Counts
from serinus.delivery.rollback.types import (
    Answered,
    Cause,
    Finding,
    Rollback,
    Signal,
    State,
    Subject,
)
from serinus.stats import event_odds

BOUND = log(1_000.0)
# With this evidence a challenger counts as worse than a champion that is harmed as well.
_WORSE = log(20.0)
_FEWEST_ANSWERS = 50
_OF_CAUSE: dict[Cause, tuple[Signal, ...]] = {
    "errors": ("errors",),
    "latency": ("latency",),
    "answers": ("answers",),
    "quality": ("quality",),
    "business": ("business",),
}
# A changed mix of answers is harm only where it is what the rollback was about.
_HARMFUL: tuple[Signal, ...] = ("errors", "latency", "quality", "business")
_ALWAYS_THERE: tuple[Signal, ...] = ("errors", "latency", "answers")


@dataclass(frozen=True)
class Case:
    """Every fact of one look.

    Attributes:
        rollback: the one to be judged.
        bands: the target's earlier range; see :func:`serinus.delivery.rollback.bands.bands`.
        workers: the gateway workers that reported lately.
        now: the time.
        since: when versions were asked again, if the default answered alone meanwhile.
        after: what the target showed since all workers have the table.
        target: what the target showed beside the other version, stretch by stretch up to the
            rollback; nothing where it answered nothing then.
        other: what the version that was taken back showed, likewise.
    """

    rollback: Rollback
    bands: Sequence[Band]
    workers: Sequence[WorkerView]
    now: datetime
    since: datetime | None = None
    after: Counts = field(default_factory=Counts)
    target: Sequence[Counts] = ()
    other: Sequence[Counts] = ()


class Judgement(NamedTuple):
    """Where the rollback goes (None: it stays), why, and everything that was found."""

    state: State | None
    reason: str
    findings: tuple[Finding, ...]


def judge(case: Case) -> Judgement:
    """What the facts say of a rollback that is being verified."""
    routed = (_workers(case), _traffic(case))
    measured = tuple(_after(case, band) for band in case.bands)
    harmed = _harmed(case)
    beside = tuple(_beside(case, harmed))
    found = (*routed, *measured, *beside)
    upstream = [item for item in beside if item.state == "not_returned"]
    if upstream:
        return Judgement(State.NOT_THE_MODEL, _exonerate(case, upstream), found)
    # Harm of another kind cannot be left unsaid: the target is harmed, whatever the other was.
    harms = (*harmed, *_HARMFUL)
    out = [item for item in measured if item.signal in harms and item.state == "not_returned"]
    if out:
        return Judgement(State.NOT_THE_MODEL, _exonerate(case, out), found)
    wanted = _wanted(case)
    open_still = [item for item in measured if item.signal in wanted and item.state != "returned"]
    missing = [signal for signal in wanted if signal not in {item.signal for item in measured}]
    done = all(item.state == "returned" for item in routed)
    if done and measured and not open_still and not missing:
        return Judgement(State.VERIFIED, _praise(case, wanted), found)
    if _seconds(case) > case.rollback.criteria.verify_seconds:
        waits = [item for item in (*routed, *open_still) if item.state != "returned"]
        return Judgement(State.UNVERIFIED, _give_up(case, waits, missing), found)
    return Judgement(None, "", found)


def _harmed(case: Case) -> tuple[Signal, ...]:
    """What harm there is to be undone: the cause's own, and what the other version showed.

    Where nobody named a cause, any harm may have been it: what was proven to be harmed beside the
    rollback need not be all that was.
    """
    known = _OF_CAUSE.get(case.rollback.cause)
    return tuple(dict.fromkeys((*known, *_breached(case)))) if known else _HARMFUL


def _wanted(case: Case) -> tuple[Signal, ...]:
    """What must be back: all that was harmed; where no cause is known, what every request shows."""
    known = _OF_CAUSE.get(case.rollback.cause, _ALWAYS_THERE)
    return tuple(dict.fromkeys((*known, *_breached(case))))


def _breached(case: Case) -> Iterable[Signal]:
    for band in case.bands:
        if band.signal in _HARMFUL and bands.breach(band, case.other).log_e >= BOUND:
            yield band.signal


# ------------------------------------------------------------------ what is looked at


def _workers(case: Case) -> Finding:
    """Whether every live worker has the table, or a newer one."""
    revision = case.rollback.revision
    state: Answered
    late = [item.worker for item in case.workers if item.revision < revision]
    if not case.workers:
        state, sentence = "no_data", "No gateway worker has reported lately."
    elif late:
        state = "open"
        sentence = f"{len(late)} of {len(case.workers)} workers have an older table still."
    else:
        state = "returned"
        sentence = f"All {len(case.workers)} live workers have routing revision {revision}."
    return _plain("workers", "workers", state, len(case.workers), sentence)


def _traffic(case: Case) -> Finding:
    """Whether every answer under the new table is the target's."""
    seen, target = case.rollback.seen, case.rollback.to
    answers = seen.target + seen.astray
    state: Answered
    if seen.astray:
        state = "not_returned"
        sentence = f"{seen.astray} of {answers} answers under the new table were not {target}'s."
    elif seen.target < _FEWEST_ANSWERS:
        state = "open"
        sentence = f"{seen.target} answers so far, all of them {target}'s."
    else:
        state = "returned"
        sentence = f"All {seen.target} answers under the new table were {target}'s."
    return _plain("answering version", "traffic", state, answers, sentence)


def _after(case: Case, band: Band) -> Finding:
    """One sign of life since the rollback, held against its earlier range."""
    seen = bands.measure(band, case.after)
    weight = bands.weigh(band, seen)
    out_bound = BOUND + log(len(case.bands))
    state: Answered = "open"
    if not seen.number:
        state = "no_data"
    elif weight.inside >= BOUND:
        state = "returned"
    elif weight.outside >= out_bound:
        state = "not_returned"
    return Finding(
        name=band.name,
        signal=band.signal,
        state=state,
        requests=round(seen.number),
        earlier=band.earlier,
        now=seen.rate,
        low=band.low,
        high=band.high,
        log_returned=weight.inside,
        log_out=weight.outside,
        bound=BOUND,
        sentence=_sentence(band, seen, state),
    )


def _beside(case: Case, harmed: Sequence[Signal]) -> Iterable[Finding]:
    """Whether the target was harmed just as much, while the other version answered beside it.

    Asked of what was harmed. Where the other one was worse still, it may have done it: a slow
    version slows down its neighbour. Then only what comes after can tell.
    """
    if not any(item.requests for item in case.other):
        return
    share_bound = BOUND + log(max(1, len(case.bands)))
    for band in case.bands:
        if band.signal not in harmed:
            continue
        breach = bands.breach(band, case.target).log_e
        if breach < share_bound or _log_worse(band, case) >= _WORSE:
            continue
        both = [bands.measure(band, counts.total(part)) for part in (case.target, case.other)]
        yield Finding(
            name=f"{band.name}, side by side",
            signal="concurrent",
            state="not_returned",
            requests=round(both[0].number),
            earlier=band.earlier,
            now=both[0].rate,
            low=band.low,
            high=band.high,
            log_returned=0.0,
            log_out=breach,
            bound=share_bound,
            sentence=f"Before the rollback {case.rollback.to} was out of its range as well: "
            f"{in_words(band, both[0].rate)} beside {in_words(band, both[1].rate)} of "
            f"{case.rollback.taken_back}, usual is {in_words(band, band.earlier)}.",
        )


def _log_worse(band: Band, case: Case) -> float:
    """Log e-value for the other version being out further than the target, side by side."""
    target, other = (
        bands.measure(band, counts.total(part[-bands.MOST_STRETCHES :]))
        for part in (case.target, case.other)
    )
    if band.is_mean or not target.number or not other.number:
        return 0.0
    hits = [target.total, other.total]
    if target.total / target.number < band.earlier:
        hits = [target.number - target.total, other.number - other.total]
    share = other.number / (other.number + target.number)
    return float(event_odds.log_e({share: hits}, null_odds=1.0, mixture=event_odds.harm_mixture()))


# ------------------------------------------------------------------ in words


def _sentence(band: Band, seen: Measured, state: str) -> str:
    words = {
        "returned": "is back in its earlier range",
        "not_returned": "is not back in its earlier range",
        "open": "is not decided yet",
        "no_data": "has shown nothing yet",
    }
    ends = [
        f"{word} {in_words(band, end)}"
        for word, end in (("at least", band.low), ("at most", band.high))
        if end is not None
    ]
    beyond = f" of requests beyond {band.shown}" if band.shown else ""
    now = f": {in_words(band, seen.rate)} among {seen.number:,.0f}" if seen.number else ""
    return f"{band.name} {words[state]}{now}, {' and '.join(ends)}{beyond} wanted."


def _exonerate(case: Case, found: Sequence[Finding]) -> str:
    return (
        f"Not the model: {case.rollback.to} has the traffic of {case.rollback.taken_back}, and "
        f"there is harm still. {' '.join(item.sentence for item in found[:3])} Look for the "
        "cause in what both versions are given. A default can answer meanwhile: "
        f"serinus default set {case.rollback.model} VALUE."
    )


def _praise(case: Case, wanted: Sequence[Signal]) -> str:
    seconds = _seconds(case)
    what = " and ".join([", ".join(wanted[:-1]), wanted[-1]] if wanted[1:] else wanted)
    return (
        f"All answers are {case.rollback.to}'s, and {what} "
        f"{'are' if wanted[1:] else 'is'} back in the earlier range after {seconds:.0f} s."
    )


def _give_up(case: Case, waits: Sequence[Finding], missing: Sequence[Signal]) -> str:
    words = [item.sentence for item in waits[:3]]
    if missing:
        words.append(f"No earlier range of {', '.join(missing)} is known.")
    return f"Not decided after {case.rollback.criteria.verify_seconds:g} s. {' '.join(words)}"


def _seconds(case: Case) -> float:
    rollback = case.rollback
    since = case.since or rollback.reported_at or rollback.routed_at or rollback.started_at
    return max(0.0, (case.now - since).total_seconds())


def _plain(name: str, signal: Subject, state: Answered, number: int, sentence: str) -> Finding:
    nothing = (None, None, None, None)
    return Finding(name, signal, state, number, *nothing, 0.0, 0.0, BOUND, sentence)
