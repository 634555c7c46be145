"""The numbers of each guardrail: estimates and e-values from the evidence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import Evidence, Measure
from serinus.delivery.types import Gate, Guardrail, Plan, Step
from serinus.stats import event_odds, paired_betting, score_betting
from serinus.wire import Arm

_HARM_ODDS = event_odds.harm_mixture()
_FAILED = np.array([0.0, 1.0])
# Errors are rare wherever models run at all; the centre sets the speed, never the validity.
_ERROR_CENTRE = 0.001
# An expected loss at the edge of [0, 1] would make one kind of stake pointless.
_LEAST_CENTRE, _MOST_CENTRE = 0.001, 0.999


@dataclass(frozen=True)
class Numbers:
    """One guardrail's evidence before it is held against its bounds.

    ``champion`` and ``challenger`` are mean losses (in shadow: the mean difference, as the
    challenger's); ``log_safe`` is None where the gate asks nothing; ``hold`` says why the
    numbers may not decide yet.
    """

    requests: int
    challenger_requests: int
    champion: float | None
    challenger: float | None
    log_harm: float
    log_safe: float | None = None
    margin: str = ""
    hold: str = ""


def numbers(plan: Plan, step: Step | None, rail: Guardrail, evidence: Evidence) -> Numbers:
    """The numbers of one guardrail at a step; None is the soak, which asks for no safety."""
    shadow = step is not None and step.shadow
    live_gate = step.gate if step is not None and not shadow else Gate()
    shadow_gate = step.gate if step is not None and shadow else Gate()
    match rail.kind:
        case "errors":
            return _errors(live_gate, evidence)
        case "quality":
            return _quality(plan, live_gate.quality_points, evidence)
        case "shadow_errors":
            pairs = evidence.pairs(Measure.PAIR_ERROR, 1)
            return _paired(pairs, ev.FAILURE_DIFFERENCES, shadow_gate.error_points)
        case "shadow_quality":
            pairs = evidence.pairs(Measure.PAIR_LOSS, ev.LOSS_STEPS)
            hold = _uncovered(plan, evidence, Arm.SHADOW)
            return _paired(pairs, ev.LOSS_DIFFERENCES, shadow_gate.quality_points, hold)


def _errors(gate: Gate, evidence: Evidence) -> Numbers:
    tables = evidence.by_arm(Measure.ERROR, 2)
    events = {share: (int(table[0, 1]), int(table[1, 1])) for share, table in tables.items()}
    safe, margins = [], []
    if gate.error_odds is not None:
        mixture = event_odds.safety_mixture(gate.error_odds)
        safe.append(event_odds.log_e(events, null_odds=gate.error_odds, mixture=mixture))
        margins.append(f"{gate.error_odds:g} times the champion's errors")
    if gate.error_points is not None:
        question = score_betting.safety(gate.error_points, _ERROR_CENTRE)
        safe.append(score_betting.log_e(tables, _FAILED, question))
        margins.append(f"{100 * gate.error_points:g} points more of them")
    return _live(
        tables,
        _FAILED,
        log_harm=event_odds.log_e(events, null_odds=1.0, mixture=_HARM_ODDS),
        # Either margin is enough: while both are exceeded, the mean of the two is an e-value.
        log_safe=float(np.logaddexp.reduce(safe)) - log(len(safe)) if safe else None,
        margin=" and ".join(margins),
    )


def _quality(plan: Plan, margin: float | None, evidence: Evidence) -> Numbers:
    tables = evidence.by_arm(Measure.LOSS, len(ev.LOSS_LEVELS))
    centre = min(max(plan.quality.baseline, _LEAST_CENTRE), _MOST_CENTRE)
    log_safe = None
    if margin is not None:
        question = score_betting.safety(margin, centre)
        log_safe = score_betting.log_e(tables, ev.LOSS_LEVELS, question)
    return _live(
        tables,
        ev.LOSS_LEVELS,
        log_harm=score_betting.log_e(tables, ev.LOSS_LEVELS, score_betting.harm(centre)),
        log_safe=log_safe,
        margin="" if margin is None else f"{100 * margin:g} points of loss more",
        hold=_uncovered(plan, evidence, Arm.CHAMPION, Arm.CHALLENGER),
    )


def _live(
    tables: dict[float, NDArray[np.int64]],
    levels: NDArray[np.float64],
    *,
    log_harm: float,
    log_safe: float | None,
    margin: str,
    hold: str = "",
) -> Numbers:
    counts = sum(tables.values(), start=np.zeros((2, len(levels)), np.int64))
    totals = counts.sum(axis=1)
    champion, challenger = (
        float(row @ levels / total) if total else None
        for row, total in zip(counts, totals, strict=True)
    )
    return Numbers(
        int(totals.sum()), int(totals[1]), champion, challenger, log_harm, log_safe, margin, hold
    )


def _paired(
    pairs: NDArray[np.int64],
    differences: NDArray[np.float64],
    margin: float | None,
    hold: str = "",
) -> Numbers:
    total = int(pairs.sum())
    return Numbers(
        requests=total,
        challenger_requests=total,
        champion=None,
        challenger=float(pairs @ differences / total) if total else None,
        log_harm=paired_betting.log_e_harm(pairs, differences),
        log_safe=None
        if margin is None
        else paired_betting.log_e_safety(pairs, differences, margin),
        margin="" if margin is None else f"{100 * margin:g} points more",
        hold=hold,
    )


def _uncovered(plan: Plan, evidence: Evidence, *arms: Arm) -> str:
    """Why labels may not decide yet: if too many never came, those that did may be chosen."""
    for arm in arms:
        coverage = evidence.coverage(arm)
        if coverage is None:
            return f"none of the {arm}'s requests has matured yet"
        if coverage < plan.label_coverage:
            return (
                f"only {coverage:.1%} of the {arm}'s matured requests have a label, "
                f"{plan.label_coverage:.1%} are needed before quality may decide"
            )
    return ""
