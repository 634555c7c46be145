"""What a guardrail's numbers are, as a person would count them. They explain; they never decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from serinus.delivery.types import Gate, Kind, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Counts, Evidence, Floats, Measure


@dataclass(frozen=True)
class Estimate:
    """One guardrail's observations.

    ``champion`` and ``challenger`` are rates in [0, 1]: failures, losses, requests slower than a
    quantile of the champion's, the part of the value scale, the delivered share. For pairs only
    ``challenger`` is set, to the mean difference, and ``soak`` to that of the ``soak_requests``
    among them; where the champion answers twice, ``champion`` is how often it differs from itself.
    ``what`` names the level that differs most, or what a gate allows of latency.
    """

    requests: int
    challenger_requests: int
    champion: float | None = None
    challenger: float | None = None
    what: str = ""
    soak_requests: int = 0
    soak: float | None = None


_COUNTED = np.array([0.0, 1.0])
_SLOW = (np.arange(len(ev.LATENCY_QUANTILES) + 1) >= ev.ABOVE_P95).astype(float)
_MEANS: dict[Kind, tuple[Measure, Floats]] = {
    "errors": (Measure.ERROR, _COUNTED),
    "service_level": (Measure.ERROR, _COUNTED),
    "quality": (Measure.LOSS, ev.LOSS_LEVELS),
    "business": (Measure.VALUE, ev.LOSS_LEVELS),
    "latency": (Measure.LATENCY, _SLOW),
}
_PAIRS: dict[Kind, tuple[Measure, Floats]] = {
    "shadow_errors": (Measure.PAIR_ERROR, ev.FAILURE_DIFFERENCES),
    "shadow_quality": (Measure.PAIR_LOSS, ev.LOSS_DIFFERENCES),
    "disagreement": (Measure.PAIR_FLIP, _COUNTED),
}
_COMPARED = {str(kind): seen for kind, seen in (*_MEANS.items(), *_PAIRS.items())}


def estimate(plan: Plan, kind: Kind, evidence: Evidence) -> Estimate:
    """The observations of one guardrail."""
    if kind in _MEANS:
        return _means(evidence, *_MEANS[kind])
    if kind == "disagreement" and plan.clone:
        return _floored(evidence)
    if kind in _PAIRS:
        return _pairs(evidence, *_PAIRS[kind])
    if kind == "distribution":
        return _furthest_cut(evidence)
    if kind == "class_mix":
        return _furthest_class(plan, evidence)
    return _split(evidence)


def slower(plan: Plan, gate: Gate, measure: Measure, level: int, evidence: Evidence) -> Estimate:
    """The requests slower than one quantile of the champion's, after what a gate forgives."""
    counts = ev.pooled(evidence.tables, measure, len(ev.LATENCY_QUANTILES) + 1)
    name = f"p{100 * ev.LATENCY_QUANTILES[level - 1]:g}"
    allowed = f"{gate.latency_ratio:g} times the champion's {name}"
    if plan.latency.slack_us:
        allowed += f" plus {plan.latency.slack_us / 1e3:g} ms"
    return _rates(counts, counts[:, level:].sum(axis=1).astype(float), allowed)


def standard_error(kind: str, evidence: Evidence) -> float | None:
    """Of the difference between the arms, or of the pairs' mean difference; None if unknown.

    The root of the sum, over the arms, of s^2 / n.
    """
    if kind not in _COMPARED:
        return None
    measure, worth = _COMPARED[kind]
    counts = ev.pooled(evidence.tables, measure, len(worth))
    if kind in _PAIRS:
        counts = counts[1:]
    totals = counts.sum(axis=1)
    if not totals.all():
        return None
    means = counts @ worth / totals
    variances = counts @ worth**2 / totals - means**2
    return float(np.sqrt((np.maximum(variances, 0.0) / totals).sum()))


def _means(evidence: Evidence, measure: Measure, worth: Floats) -> Estimate:
    counts = ev.pooled(evidence.tables, measure, len(worth))
    return _rates(counts, (counts * worth).sum(axis=1))


def _rates(counts: Counts, sums: Floats, what: str = "") -> Estimate:
    totals = counts.sum(axis=1)
    champion, challenger = (
        float(part / total) if total else None for part, total in zip(sums, totals, strict=True)
    )
    return Estimate(int(totals.sum()), int(totals[1]), champion, challenger, what)


def _furthest_cut(evidence: Evidence) -> Estimate:
    counts = ev.pooled(evidence.tables, Measure.SCORE, ev.SCORE_BINS)
    below = np.cumsum(counts, axis=1)[:, :-1]
    cut = int(_gap(below, counts).argmax())
    return _rates(counts, below[:, cut].astype(float), f"{cut + 1}0 %")


def _furthest_class(plan: Plan, evidence: Evidence) -> Estimate:
    counts = ev.pooled(evidence.tables, Measure.CLASS, len(plan.classes) + 1)
    place = int(_gap(counts, counts).argmax())
    named = str(plan.classes[place]) if place < len(plan.classes) else "none of its classes"
    return _rates(counts, counts[:, place].astype(float), named)


def _gap(parts: Counts, counts: Counts) -> Floats:
    rates = parts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    gap: Floats = np.abs(rates[1] - rates[0])
    return gap


def _split(evidence: Evidence) -> Estimate:
    """The configured share, averaged over the requests, against the delivered one."""
    counts = {
        share: table.sum(axis=1)
        for share, table in ev.shaped(evidence.tables, Measure.ERROR, 2).items()
        if 0.0 < share < 1.0
    }
    total = sum(int(arms.sum()) for arms in counts.values())
    if not total:
        return Estimate(0, 0)
    challenger = sum(int(arms[1]) for arms in counts.values())
    configured = sum(share * int(arms.sum()) for share, arms in counts.items()) / total
    return Estimate(total, challenger, configured, challenger / total)


def _pairs(evidence: Evidence, measure: Measure, differences: Floats) -> Estimate:
    counts = ev.pooled(evidence.tables, measure, len(differences))[1]
    soak = ev.shaped(evidence.tables, measure, len(differences)).get(ev.SOAK)
    total, mean = _mean(counts, differences)
    if soak is None:
        return Estimate(total, total, None, mean)
    return Estimate(total, total, None, mean, "", *_mean(soak[1], differences))


def _mean(counts: Counts, differences: Floats) -> tuple[int, float | None]:
    total = int(counts.sum())
    return total, float(counts @ differences / total) if total else None


def _floored(evidence: Evidence) -> Estimate:
    """How often each of the two second answers differs from the first."""
    seen = ev.shaped(evidence.tables, Measure.PAIR_FLOOR, len(ev.FLIP_DIFFERENCES))
    _, clone, challenger, both = ev.pooled(
        evidence.tables, Measure.PAIR_FLOOR, len(ev.FLIP_DIFFERENCES)
    )[1]
    total = sum(int(counts[1].sum()) for counts in seen.values())
    if not total:
        return Estimate(0, 0)
    soak = int(seen[ev.SOAK][1].sum()) if ev.SOAK in seen else 0
    return Estimate(
        total, total, float(clone + both) / total, float(challenger + both) / total, "", soak
    )
