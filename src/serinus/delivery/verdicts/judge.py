"""The verdict: a pure function of a plan, a step and the evidence.

``rollback`` as soon as any guardrail's evidence of harm reaches its bound; ``promote`` only when
every guardrail that the step's gate asks about has excluded its margin. Looking often costs
nothing: an e-value ever reaches 1/alpha with probability at most alpha (Ville's inequality).
"""

from __future__ import annotations

from math import log
from typing import Literal

import msgspec

from serinus.delivery.types import Assessment, Gate, Guardrail, Kind, Outcome, Plan, Step, Verdict
from serinus.delivery.verdicts import measure, wording
from serinus.delivery.verdicts.estimate import Estimate, estimate, slower
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.wire import Arm

_SHADOW: tuple[Kind, ...] = ("shadow_errors", "shadow_quality", "disagreement")
_ASKS_NOTHING = Gate()


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


def gate_of(step: Step | None, kind: Kind) -> Gate:
    """What a step asks of a kind: a mirror step of pairs only, a live step of live traffic only."""
    asked = step is not None and step.shadow == (kind in _SHADOW)
    return step.gate if step is not None and asked else _ASKS_NOTHING


def _assess(plan: Plan, step: Step | None, rail: Guardrail, evidence: Evidence) -> Assessment:
    gate = gate_of(step, rail.kind)
    found = estimate(plan, rail.kind, evidence)
    log_harm = float(measure.log_harm(plan, rail, evidence.tables))
    safe = measure.log_safe(plan, gate, rail.kind, evidence.tables)
    log_safe = None if safe is None else float(safe)
    harm_bound, safe_bound = log(1.0 / rail.alpha), log(1.0 / plan.promote_alpha)
    hold = _uncovered(plan, rail.kind, evidence) or _one_armed(rail.kind, found)
    state: Literal["harm", "safe", "open", "no_data"] = "open"
    if found.requests == 0:
        state = "no_data"
    elif hold:
        state = "open"
    elif log_harm >= harm_bound:
        state = "harm"
    elif log_safe is not None and log_safe >= safe_bound:
        state = "safe"
    if state in ("safe", "open") and not hold:
        found = _decisive(plan, gate, rail.kind, evidence) or found
    seen = Assessment(
        kind=rail.kind,
        state=state,
        requests=found.requests,
        challenger_requests=found.challenger_requests,
        champion=found.champion,
        challenger=found.challenger,
        log_harm=log_harm,
        harm_bound=harm_bound,
        log_safe=log_safe,
        safe_bound=safe_bound,
        margin=wording.margin(plan, gate, rail.kind) if log_safe is not None else "",
        sentence="",
    )
    return _with_sentence(seen, rail, found, hold)


def _decisive(plan: Plan, gate: Gate, kind: Kind, evidence: Evidence) -> Estimate | None:
    """What is told where a gate asks of several quantiles: the one that lacks most."""
    tails = measure.tails(plan, gate, evidence.tables) if kind == "latency" else []
    if not tails:
        return None
    table, level, _ = min(tails, key=lambda tail: float(tail[2]))
    found = slower(plan, gate, table, level, evidence)
    # A verdict's numbers are of both arms; a failed request counts for harm alone.
    return None if found.champion is None or found.challenger is None else found


def _with_sentence(seen: Assessment, rail: Guardrail, found: Estimate, hold: str) -> Assessment:
    sentence = wording.sentence(seen, rail, found, hold)
    return msgspec.structs.replace(seen, sentence=sentence)


def _conclude(step: Step | None, assessments: tuple[Assessment, ...]) -> tuple[Outcome, str]:
    harmed = {item.kind: item for item in assessments if item.state == "harm"}
    crooked = harmed.pop("sample_ratio", None)
    if crooked is not None and step is not None:
        # The arms are not those that were configured: only pairs can still be believed.
        harmed = {kind: item for kind, item in harmed.items() if kind in _SHADOW}
    if harmed:
        worst = max(harmed.values(), key=lambda item: item.log_harm - item.harm_bound)
        return Outcome.ROLLBACK, worst.sentence
    if crooked is not None and step is not None:
        return Outcome.INCONCLUSIVE, crooked.sentence
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


def _one_armed(kind: Kind, found: Estimate) -> str:
    """Why a comparison may not decide yet: it needs both to have been seen, be it once."""
    if kind in _SHADOW or kind in ("service_level", "sample_ratio"):
        return ""
    for arm, rate in ((Arm.CHAMPION, found.champion), (Arm.CHALLENGER, found.challenger)):
        if rate is None:
            return f"nothing of the {arm} has been observed yet"
    return ""


def _uncovered(plan: Plan, kind: Kind, evidence: Evidence) -> str:
    """Why labels may not decide yet: if too many never came, those that did may be chosen."""
    arms = {
        "quality": (Arm.CHAMPION, Arm.CHALLENGER),
        "shadow_quality": (Arm.SHADOW,),
    }.get(kind, ())
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
