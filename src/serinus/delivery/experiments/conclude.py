"""From findings to one recommendation and one readable evaluation. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import floor, inf

from serinus import clock
from serinus.delivery.experiments import analysis, scarcity
from serinus.delivery.experiments.analysis import Question
from serinus.delivery.experiments.fold import LOOKS, fraction
from serinus.delivery.experiments.sums import Shares, Sums
from serinus.delivery.experiments.types import (
    Action,
    Arm,
    Design,
    Evaluation,
    Finding,
    Progress,
    Recommendation,
    View,
)
from serinus.stats.intervals import Estimate

TITLES = {
    View.BEFORE_THE_END: "Before the planned end: valid at every look",
    View.AT_THE_END: "At the planned end: the fixed-horizon report",
}
# A challenger whose labels come so much more often or seldom is compared on chosen requests.
_LABELS_APART = 0.02


def evaluate(
    identity: tuple[str, str],
    question: Question,
    sums: Sums,
    shares: Shares,
    dropped: Mapping[int, str],
    *,
    live: bool = True,
) -> Evaluation:
    """What may be said of an experiment now.

    Args:
        identity: its id and its model.
        question: what is asked.
        sums: what was counted.
        shares: the challengers' in force now.
        dropped: by place from 0, why a challenger was taken out.
        live: whether it still runs. One may be ended by hand before its planned end.
    """
    design, metric = question.design, question.metric
    view = View.AT_THE_END if sums.closed_at else View.BEFORE_THE_END
    ended = view is View.AT_THE_END
    findings = (analysis.at_end if ended else analysis.before_end)(sums, question)
    winner = _winner(findings)
    progress = progress_of(design, sums, live=live)
    arms = _arms(question, sums, shares, dropped)
    scarce = scarcity.sentence(sums, question, findings)
    return Evaluation(
        experiment=identity[0],
        model=identity[1],
        view=view,
        title=TITLES[view],
        validity=_validity(sums, progress, question, live=live),
        metric=metric.title,
        unit=metric.unit,
        rises=metric.rises,
        counted_by=design.unit,
        confidence=design.confidence,
        progress=progress,
        arms=arms,
        findings=findings,
        winner=winner.version if winner else None,
        significant=any(item.state in ("better", "worse") for item in findings),
        recommendation=_recommend(question, view, findings, progress, live=live, scarce=scarce),
        notes=_notes(question, sums, arms, progress) + (scarce,) * bool(scarce),
    )


def progress_of(design: Design, sums: Sums, *, live: bool = True) -> Progress:
    """How far an experiment is, and when it can end at the earliest with the traffic so far."""
    began = clock.from_epoch_us(sums.began_at) if sums.began_at else None
    last = sums.closed_at or sums.last_at
    seconds = (last - sums.began_at) / 1e6 if began else 0.0
    return Progress(
        units=sums.units,
        units_planned=design.units,
        seconds=seconds,
        seconds_planned=design.least_seconds,
        began_at=began,
        due=_due(design, sums, began, seconds) if live else None,
        ended_at=clock.from_epoch_us(sums.closed_at) if sums.closed_at else None,
    )


def _due(design: Design, sums: Sums, began: datetime | None, seconds: float) -> datetime | None:
    if began is None or sums.closed_at:
        return None
    by_units = seconds * design.units / sums.units if sums.units else 0.0
    return began + timedelta(seconds=min(max(by_units, design.least_seconds), design.most_seconds))


def _arms(
    question: Question, sums: Sums, shares: Shares, dropped: Mapping[int, str]
) -> tuple[Arm, ...]:
    found = []
    for arm, version in enumerate(question.design.versions):
        told = sums.told.get(arm)
        value, error = analysis.arm_means(sums, arm)
        labelled = None
        if question.metric.source == "label" and told and told.requests:
            labelled = told.labelled / told.requests
        found.append(
            Arm(
                version=version,
                role="challenger" if arm else "champion",
                share=shares[arm - 1] if arm else 1.0 - sum(shares),
                units=sums.units_of(arm),
                requests=told.requests if told else 0,
                labelled=labelled,
                left_out=told.left_out if told else 0,
                value=value,
                error=error,
                dropped=dropped.get(arm - 1, ""),
            )
        )
    return tuple(found)


def _winner(findings: Sequence[Finding]) -> Finding | None:
    better = [item for item in findings if item.state == "better" and item.difference]
    return max(better, key=_size, default=None)


def _size(finding: Finding) -> float:
    return abs(finding.difference.value) if finding.difference else 0.0


def _validity(sums: Sums, progress: Progress, question: Question, *, live: bool) -> str:
    level = f"{question.design.confidence:.0%}"
    if sums.closed_at:
        return (
            f"Asked once, of all units as they stood at the planned end; intervals and p-values "
            f"hold at {level} for all challengers together (Holm, Bonferroni)."
        )
    if not live:
        last = sums.looks[-1].number if sums.looks else 0
        return (
            f"It ended before its planned end, after look {last} of {LOOKS - 1}. "
            f"Intervals hold at {level} at every look together. There is no p-value: tests are "
            "asked at the planned end alone."
        )
    looks = (
        f"This is look {sums.looks[-1].number} of {LOOKS - 1}; the next is taken by itself"
        if sums.looks
        else "The first look is taken after a twelfth of the plan"
    )
    waits = []
    if progress.units < progress.units_planned:
        waits.append(f"{progress.units:,} of {progress.units_planned:,} units")
    if progress.seconds < progress.seconds_planned:
        waits.append(_of_time(progress.seconds, progress.seconds_planned))
    due = f", at the earliest {progress.due:%F %H:%M} UTC" if progress.due else ""
    return (
        f"Intervals hold at {level} at every look together, so they are wider. {looks}. No p-value "
        f"yet: tests are asked once, at the planned end ({' and '.join(waits) or 'now due'}{due})."
    )


def _of_time(passed: float, planned: float) -> str:
    """How much of a time is over, in the unit that suits it; rounded down, as it is not over."""
    unit, name = next(item for item in _UNITS if planned < item[2] * item[0])[:2]
    return f"{floor(10 * passed / unit) / 10:.1f} of {planned / unit:.1f} {name}"


_UNITS = ((1, "seconds", 90), (60, "minutes", 90), (3_600, "hours", 72), (86_400, "days", inf))


def _recommend(
    question: Question,
    view: View,
    findings: Sequence[Finding],
    progress: Progress,
    *,
    live: bool,
    scarce: str,
) -> Recommendation:
    champion, winner = question.design.versions[0], _winner(findings)
    if winner is not None:
        told = f"{winner.version} is better than {champion}: {_gap(question, winner)}"
        if view is View.BEFORE_THE_END and live:
            told += "; it may be promoted before the planned end"
        return Recommendation(Action.PROMOTE, winner.version, f"Promote: {told}.")
    known = [item for item in findings if item.difference is not None and item.state != "dropped"]
    worse = [item for item in findings if item.state in ("worse", "dropped")]
    if findings and len(worse) == len(findings):
        each = "; ".join(f"{item.version}: {_gap(question, item)}" for item in worse)
        return Recommendation(
            Action.KEEP, champion, f"Keep {champion}: every challenger is worse ({each})."
        )
    if view is View.BEFORE_THE_END and not live:
        why = "it ended before its planned end, and nothing was proven of any challenger by then"
        return Recommendation(Action.KEEP, champion, f"Keep {champion}: {why}.")
    if view is View.BEFORE_THE_END:
        until = f" until {progress.due:%F %H:%M} UTC" if progress.due else ""
        return Recommendation(
            Action.GO_ON, None, f"Go on{until}: nothing is proven of any challenger yet."
        )
    if not known:
        why = f"Keep {champion}: too little came to compare anything."
        return Recommendation(Action.KEEP, champion, f"{why} {scarce}".rstrip())
    sign = 1.0 if question.metric.rises else -1.0
    best = max(known, key=lambda item: sign * (item.difference.value if item.difference else 0.0))
    largest = max(
        max(abs(item.difference.low), abs(item.difference.high))
        for item in known
        if item.difference
    )
    return Recommendation(
        Action.NO_DIFFERENCE,
        champion,
        f"Keep {champion}: no difference is proven, and none is larger than "
        f"{_amount(question, largest)} ({best.version}: {_gap(question, best)}).",
    )


def _gap(question: Question, finding: Finding) -> str:
    if finding.difference is None:
        return "nothing was compared"
    told = _interval(question, finding.difference)
    if finding.p_adjusted is not None:
        told += f", p = {finding.p_adjusted:.2g}"
    return f"{question.metric.title} {told}"


def _interval(question: Question, estimate: Estimate) -> str:
    low, high = (f"{end:+.4g}" for end in (estimate.low, estimate.high))
    unit = f" {question.metric.unit}" if question.metric.unit else ""
    return f"{estimate.value:+.4g} ({low} to {high}){unit}"


def _amount(question: Question, value: float) -> str:
    return f"{value:.4g} {question.metric.unit}".strip()


def _notes(
    question: Question, sums: Sums, arms: Sequence[Arm], progress: Progress
) -> tuple[str, ...]:
    notes = [f"{arm.version} was dropped: {arm.dropped}" for arm in arms if arm.dropped]
    if len(sums.stretches) > 1:
        why = (
            "Allocation was adaptive"
            if question.design.allocation == "thompson"
            else "Shares changed on the way"
        )
        notes.append(
            f"{why}: {len(sums.stretches)} stretches of constant shares are compared each by "
            f"itself and weighted by {'1/error' if question.planned else 'their size'}, which "
            "stays valid however shares followed results; tests of whole distributions are left "
            "out."
        )
        if question.planned and question.dropped:
            notes.append(
                "A challenger was dropped between planned looks: with adaptive allocation, error "
                "probabilities hold but approximately from there on."
            )
    notes += _unadjusted(question, sums)
    labelled = [arm.labelled for arm in arms if arm.labelled is not None]
    if labelled and max(labelled) - min(labelled) > _LABELS_APART:
        each = ", ".join(f"{arm.version} {arm.labelled:.1%}" for arm in arms if arm.labelled)
        notes.append(
            f"Labels in time differ by arm ({each}): what has none is not compared, which may "
            "bend the difference."
        )
    if sums.closed_at and fraction(question.design, sums.units, progress.seconds) < 1.0:
        notes.append(
            f"The longest time ended before the planned sample was there: {progress.units:,} of "
            f"{progress.units_planned:,} units."
        )
    left = sum(arm.left_out for arm in arms)
    if left:
        notes.append(f"{left:,} requests could not be counted (no usable answer, or a moved arm).")
    return tuple(notes)


def _unadjusted(question: Question, sums: Sums) -> list[str]:
    """Who is not adjusted for the covariate that was asked for, and why."""
    if question.setup.covariate is None:
        return []
    looked = sums if sums.closed_at or not sums.looks else sums.looks[-1]
    versions = [
        question.design.versions[place + 1]
        for place in range(question.challengers)
        if not analysis.is_missing_alike(looked.arms, looked.missing, place)
    ]
    if not versions:
        return []
    return [
        f"{question.design.covariate} is missing more often in one arm than in the other "
        f"({', '.join(versions)}), so it was not adjusted for there."
    ]
