"""Why versions are not compared although traffic came: too few units say anything. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

from serinus.delivery.experiments.analysis import Arms, Question
from serinus.delivery.experiments.contrast import LEAST_UNITS, telling
from serinus.delivery.experiments.moments import UNITS
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.experiments.types import Finding

_MANY = {"request": "requests", "entity": "entities"}


def sentence(sums: Sums, question: Question, findings: Sequence[Finding]) -> str:
    """Which versions have too little to be compared, and why; "" if none has.

    Args:
        sums: what was counted.
        question: what is asked.
        findings: as they stand in the same view.
    """
    arms = sums.arms if sums.closed_at else sums.looks[-1].arms if sums.looks else {}
    without = [place for place, found in enumerate(findings) if found.state == "no_data"]
    if not arms or not without:
        return ""
    each = [_words(arms, question, arm) for arm in (0, *(place + 1 for place in without))]
    told = "; ".join(words for words in each if words)
    if not told:
        return ""
    many = _MANY[question.design.unit]
    return f"No version is compared on fewer than {LEAST_UNITS} equal {many}. {told}."


def _words(arms: Arms, question: Question, arm: int) -> str:
    """How much one arm has, where that is too little.

    Stretches of constant shares are compared each by itself, so the one that says most counts.
    """
    version = question.design.versions[arm]
    rows = [row for (_, of), row in arms.items() if of == arm]
    if not rows:
        return f"{version}: nothing"
    most = max(rows, key=lambda row: float(telling(row)))
    count, say = round(float(most[UNITS])), float(telling(most))
    if say >= LEAST_UNITS:
        return ""
    many = _MANY[question.design.unit] if count != 1 else question.design.unit
    told = f"{version}: {count:,} {many}" + " at constant shares" * (len(rows) > 1)
    return told if round(say, 3) == count else f"{told}, of which {_why(question, say)}"


def _why(question: Question, say: float) -> str:
    """What makes units say less than as many equal ones."""
    metric = question.metric
    few = f"few say anything of {metric.title}"
    if not say:
        return f"none says anything of {metric.title}"
    if question.design.unit == "entity" and not metric.per_unit:
        outweigh = "the largest outweigh the others"
        few = f"{few} or {outweigh}" if metric.positive is not None else outweigh
    return f"{few} (as if {floor(say)})"
