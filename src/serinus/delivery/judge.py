"""The verdict: a pure function of a plan, a step and the evidence.

``rollback`` as soon as any guardrail's evidence of harm reaches its bound; ``promote`` only when
every guardrail that the step's gate asks about has excluded its margin. Looking often costs
nothing: an e-value ever reaches 1/alpha with probability at most alpha (Ville's inequality).
"""

from __future__ import annotations

from math import log
from typing import Literal

from serinus.delivery import measure, wording
from serinus.delivery.evidence import Evidence, Measure
from serinus.delivery.types import Assessment, Guardrail, Outcome, Plan, Step, Verdict


def judge(plan: Plan, step: int, evidence: Evidence) -> Verdict:
    """What the evidence says at this step of the plan (or in the soak, past the last step)."""
    current = plan.steps[step] if step < len(plan.steps) else None
    assessments = tuple(_assess(plan, current, rail, evidence) for rail in plan.guardrails)
    outcome, reason = _conclude(current, assessments)
    return Verdict(
        outcome=outcome,
        reason=reason,
        requests=evidence.total(Measure.ERROR) + evidence.total(Measure.PAIR_ERROR),
        alpha_spent=sum(rail.alpha for rail in plan.guardrails),
        guardrails=assessments,
    )


def _assess(plan: Plan, step: Step | None, rail: Guardrail, evidence: Evidence) -> Assessment:
    found = measure.numbers(plan, step, rail, evidence)
    harm_bound, safe_bound = log(1.0 / rail.alpha), log(1.0 / plan.promote_alpha)
    state = _state(found, harm_bound, safe_bound)
    return Assessment(
        kind=rail.kind,
        state=state,
        requests=found.requests,
        challenger_requests=found.challenger_requests,
        champion=found.champion,
        challenger=found.challenger,
        log_harm=found.log_harm,
        harm_bound=harm_bound,
        log_safe=found.log_safe,
        safe_bound=safe_bound,
        margin=found.margin,
        sentence=wording.sentence(rail.kind, state, found, harm_bound, safe_bound),
    )


def _state(
    found: measure.Numbers, harm_bound: float, safe_bound: float
) -> Literal["harm", "safe", "open", "no_data"]:
    if found.requests == 0:
        return "no_data"
    if found.hold:
        return "open"
    if found.log_harm >= harm_bound:
        return "harm"
    if found.log_safe is not None and found.log_safe >= safe_bound:
        return "safe"
    return "open"


def _conclude(step: Step | None, assessments: tuple[Assessment, ...]) -> tuple[Outcome, str]:
    for item in assessments:
        if item.state == "harm":
            return Outcome.ROLLBACK, item.sentence
    if all(item.state == "no_data" for item in assessments):
        return Outcome.NO_DATA, "Nothing has been observed yet, and no data decides nothing."
    if step is None:
        return Outcome.CONTINUE, "No harm is proven."
    asked = [item for item in assessments if item.log_safe is not None]
    undecided = [item.sentence for item in asked if item.state != "safe"]
    if undecided:
        return Outcome.CONTINUE, " ".join(undecided)
    if not asked:
        # A plan without a single required guardrail must not promote on silence.
        return Outcome.CONTINUE, "The gate of this step asks for nothing; promote by hand."
    return Outcome.PROMOTE, " ".join(item.sentence for item in asked)
