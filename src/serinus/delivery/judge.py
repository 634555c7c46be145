"""The verdict: a pure function of a plan, a step and the evidence.

``rollback`` as soon as any guardrail's evidence of harm exceeds its bound; ``promote`` only when
every guardrail that the step's gate asks about has excluded its margin. Looking often costs
nothing: each e-value exceeds 1/alpha with probability at most alpha, ever.
"""

from __future__ import annotations

from math import exp, log

import numpy as np
from numpy.typing import NDArray

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import Evidence, Measure
from serinus.delivery.types import Assessment, Gate, Guardrail, Outcome, Plan, Step, Verdict
from serinus.stats import event_odds, paired_betting, score_betting
from serinus.wire import Arm

_HARM_ODDS = event_odds.harm_mixture()
# An expected loss at the edge of [0, 1] would make one kind of stake pointless.
_CENTRES = (0.001, 0.999)
_TITLES = {
    "errors": "errors",
    "quality": "labelled quality",
    "shadow_errors": "errors in shadow",
    "shadow_quality": "labelled quality in shadow",
}


def judge(plan: Plan, step: int, evidence: Evidence) -> Verdict:
    """What the evidence says at this step of the plan (or in the soak, past the last step)."""
    current = plan.steps[step] if step < len(plan.steps) else None
    assessments = tuple(_assess(plan, current, rail, evidence) for rail in plan.guardrails)
    requests = sum(
        evidence.total(measure) for measure in (Measure.ERROR, Measure.PAIR_ERROR)
    )
    outcome, reason = _conclude(current, assessments)
    spent = sum(rail.alpha for rail in plan.guardrails)
    return Verdict(outcome, reason, requests, spent, assessments)


def _conclude(step: Step | None, assessments: tuple[Assessment, ...]) -> tuple[Outcome, str]:
    for item in assessments:
        if item.state == "harm":
            return Outcome.ROLLBACK, item.sentence
    if all(item.state == "no_data" for item in assessments):
        return Outcome.NO_DATA, "Nothing has been observed yet; no data decides nothing."
    asked = [item for item in assessments if item.log_safe is not None]
    if step is None:
        return Outcome.CONTINUE, "No harm is proven."
    missing = [item for item in asked if item.state != "safe"]
    if missing:
        return Outcome.CONTINUE, missing[0].sentence
    if not asked:
        return Outcome.PROMOTE, "This step asks for no evidence but its requests and time."
    return Outcome.PROMOTE, " ".join(item.sentence for item in asked)


def _assess(plan: Plan, step: Step | None, rail: Guardrail, evidence: Evidence) -> Assessment:
    gate = step.gate if step else Gate()
    shadow = step.shadow if step else False
    match rail.kind:
        case "errors":
            facts = _errors(plan, gate if not shadow else Gate(), evidence)
        case "quality":
            facts = _quality(plan, None if shadow else gate.quality_points, evidence)
        case "shadow_errors":
            facts = _shadow_errors(gate.error_points if shadow else None, evidence)
        case "shadow_quality":
            facts = _shadow_quality(plan, gate.quality_points if shadow else None, evidence)
    return facts.assessment(rail, log(1.0 / plan.promote_alpha))


class _Facts:
    """The numbers of one guardrail before they are held against their bounds."""

    def __init__(self, tables: dict[float, NDArray[np.int64]] | None = None) -> None:
        counts = sum(tables.values()) if tables else np.zeros((2, 1), np.int64)
        self.arms = np.asarray(counts)
        self.rates: tuple[float | None, float | None] = (None, None)
        self.log_harm = 0.0
        self.log_safe: float | None = None
        self.margin = ""
        self.hold = ""

    def rate(self, levels: NDArray[np.float64]) -> None:
        """Estimate each arm's mean level from its counts."""
        totals = self.arms.sum(axis=1)
        means = [
            float(row @ levels / total) if total else None
            for row, total in zip(self.arms, totals, strict=True)
        ]
        self.rates = (means[0], means[1])

    def assessment(self, rail: Guardrail, safe_bound: float) -> Assessment:
        """The finished assessment with its state and sentence."""
        requests = int(self.arms.sum())
        harm_bound = log(1.0 / rail.alpha)
        if requests == 0:
            state = "no_data"
        elif self.hold:
            state = "open"
        elif self.log_harm >= harm_bound:
            state = "harm"
        elif self.log_safe is not None and self.log_safe >= safe_bound:
            state = "safe"
        else:
            state = "open"
        draft = Assessment(
            kind=rail.kind,
            state=state,
            requests=requests,
            challenger_requests=int(self.arms[1].sum()),
            champion=self.rates[0],
            challenger=self.rates[1],
            log_harm=self.log_harm,
            harm_bound=harm_bound,
            log_safe=self.log_safe,
            safe_bound=safe_bound,
            margin=self.margin,
            sentence="",
        )
        return _with_sentence(draft, self.hold)


def _errors(plan: Plan, gate: Gate, evidence: Evidence) -> _Facts:
    tables = evidence.by_arm(Measure.ERROR, 2)
    facts = _Facts(tables)
    facts.rate(np.array([0.0, 1.0]))
    events = {share: (int(t[0, 1]), int(t[1, 1])) for share, t in tables.items()}
    facts.log_harm = event_odds.log_e(events, null_odds=1.0, mixture=_HARM_ODDS)
    safe, margins = [], []
    if gate.error_odds is not None:
        mixture = event_odds.safety_mixture(gate.error_odds)
        safe.append(event_odds.log_e(events, null_odds=gate.error_odds, mixture=mixture))
        margins.append(f"{gate.error_odds:g} times the champion's")
    if gate.error_points is not None:
        # The champion's error rate is small where models run at all; the centre only sets speed.
        question = score_betting.safety(gate.error_points, _CENTRES[0])
        safe.append(score_betting.log_e(tables, np.array([0.0, 1.0]), question))
        margins.append(f"{100 * gate.error_points:g} points more")
    if safe:
        # Either margin is enough: under "both are exceeded" the average is an e-value.
        facts.log_safe = float(np.logaddexp.reduce(safe) - log(len(safe)))
        facts.margin = " or ".join(margins)
    return facts


def _quality(plan: Plan, margin: float | None, evidence: Evidence) -> _Facts:
    tables = evidence.by_arm(Measure.LOSS, ev.LOSS_STEPS + 1)
    facts = _Facts(tables)
    facts.rate(ev.LOSS_LEVELS)
    centre = min(max(plan.quality.baseline, _CENTRES[0]), _CENTRES[1])
    facts.log_harm = score_betting.log_e(tables, ev.LOSS_LEVELS, score_betting.harm(centre))
    if margin is not None:
        question = score_betting.safety(margin, centre)
        facts.log_safe = score_betting.log_e(tables, ev.LOSS_LEVELS, question)
        facts.margin = f"{100 * margin:g} points of loss more"
    for arm in (Arm.CHAMPION, Arm.CHALLENGER):
        facts.hold = facts.hold or _uncovered(plan, arm, evidence)
    return facts


def _shadow_errors(margin: float | None, evidence: Evidence) -> _Facts:
    return _paired(evidence.pairs(Measure.PAIR_ERROR, 1), ev.FAILURE_DIFFERENCES, margin)


def _shadow_quality(plan: Plan, margin: float | None, evidence: Evidence) -> _Facts:
    pairs = evidence.pairs(Measure.PAIR_LOSS, ev.LOSS_STEPS)
    facts = _paired(pairs, ev.LOSS_DIFFERENCES, margin)
    facts.hold = _uncovered(plan, Arm.SHADOW, evidence)
    return facts


def _paired(
    pairs: NDArray[np.int64], differences: NDArray[np.float64], margin: float | None
) -> _Facts:
    facts = _Facts()
    total = int(pairs.sum())
    facts.arms = np.array([[0], [total]], np.int64)
    if total:
        facts.rates = (None, float(pairs @ differences / total))
    facts.log_harm = paired_betting.log_e_harm(pairs, differences)
    if margin is not None:
        facts.log_safe = paired_betting.log_e_safety(pairs, differences, margin)
        facts.margin = f"{100 * margin:g} points more"
    return facts


def _uncovered(plan: Plan, arm: Arm, evidence: Evidence) -> str:
    """Why labels cannot be trusted yet: if too many never came, those that did may be chosen."""
    coverage = evidence.coverage(arm)
    if coverage is None or coverage >= plan.label_coverage:
        return ""
    return (
        f"only {coverage:.1%} of the {arm}'s matured requests have a label, "
        f"{plan.label_coverage:.1%} are needed before quality may decide"
    )


def _with_sentence(item: Assessment, hold: str) -> Assessment:
    import msgspec

    title = _TITLES[item.kind]
    title = title[0].upper() + title[1:]
    if item.state == "no_data":
        text = f"{title}: nothing observed yet."
    elif hold:
        text = f"{title}: {hold}."
    elif item.state == "harm":
        text = (
            f"{title}: {_comparison(item)}; the odds against a challenger that is not worse are "
            f"{_odds(item.log_harm)} to 1, the limit for a rollback is {_odds(item.harm_bound)} to 1."
        )
    elif item.log_safe is None:
        text = f"{title}: {_comparison(item)}; no harm is proven."
    else:
        done = "are" if item.state == "safe" else "must reach"
        odds = item.log_safe if item.state == "safe" else item.safe_bound
        so_far = "" if item.state == "safe" else f" and are {_odds(item.log_safe)} to 1"
        text = (
            f"{title}: {_comparison(item)}; the odds against {item.margin} "
            f"{done} {_odds(odds)} to 1{so_far}."
        )
    return msgspec.structs.replace(item, sentence=text)


def _comparison(item: Assessment) -> str:
    if item.kind.startswith("shadow"):
        change = 100 * (item.challenger or 0.0)
        return f"on {item.requests:,} same requests the challenger is {change:+.2f} points off"
    both = [
        f"{name} {'-' if rate is None else f'{rate:.2%}'} of {number:,}"
        for name, rate, number in (
            ("challenger", item.challenger, item.challenger_requests),
            ("champion", item.champion, item.requests - item.challenger_requests),
        )
    ]
    return ", ".join(both)


def _odds(log_e: float) -> str:
    if log_e > log(1e6):
        return "over a million"
    return f"{exp(log_e):,.3g}"
