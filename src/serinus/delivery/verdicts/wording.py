"""The one readable sentence of each guardrail."""

from __future__ import annotations

from math import exp, log

from serinus.delivery.types import Assessment, Gate, Guardrail, Kind, Plan
from serinus.delivery.verdicts.estimate import Estimate

TITLES: dict[Kind, str] = {
    "errors": "Errors",
    "service_level": "Service level",
    "latency": "Latency",
    "distribution": "Prediction distribution",
    "class_mix": "Class mix",
    "quality": "Labelled quality",
    "business": "Business value",
    "sample_ratio": "Sample ratio",
    "shadow_errors": "Errors in shadow",
    "shadow_quality": "Labelled quality in shadow",
    "disagreement": "Disagreement in shadow",
}
_QUALITY = ("quality", "shadow_quality")
# Odds from here on are whole numbers; three digits of them say enough.
_WHOLE = 100.0
_CLAIMS: dict[Kind, str] = {
    "service_level": "that it breaks the service level",
    "distribution": "that its scores are distributed otherwise",
    "class_mix": "that it predicts other classes",
    "sample_ratio": "that the arms are not drawn as configured",
    "disagreement": "that the two differ too often",
}


def sentence(seen: Assessment, rail: Guardrail, found: Estimate, hold: str) -> str:
    """What a guardrail's numbers say, with the bound that they are held against.

    Args:
        seen: the assessment, its own sentence still empty.
        rail: the guardrail.
        found: what was observed.
        hold: why it may not decide yet, or "".
    """
    title = TITLES[rail.kind]
    if found.soak_requests:
        title = title.replace("in shadow", "in shadow and soak")
    if seen.state == "no_data":
        return f"{title}: nothing observed yet."
    if hold:
        return f"{title}: {hold}."
    compared = _compared(rail, found)
    if seen.state == "harm":
        claim = _CLAIMS.get(rail.kind, "that the challenger is worse")
        if rail.kind in _QUALITY and rail.tolerance:
            claim += f" by more than {100 * rail.tolerance:g} points"
        ending = (
            f"a rollback needs {odds(seen.harm_bound)} to 1"
            if rail.kind != "sample_ratio"
            else "so no comparison of the arms can be believed"
        )
        return f"{title}: {compared}; the evidence {claim} is {odds(seen.log_harm)} to 1, {ending}."
    if seen.log_safe is None:
        return f"{title}: {compared}; no harm is proven."
    verb = "was" if seen.state == "safe" else "is"
    return (
        f"{title}: {compared}; the evidence against {seen.margin} is "
        f"{odds(seen.log_safe)} to 1, {odds(seen.safe_bound)} to 1 {verb} asked."
    )


def margin(plan: Plan, gate: Gate, kind: Kind) -> str:
    """What a gate wants excluded, in words; "" if it asks nothing of this kind."""
    asked = [
        template.format(value * scale)
        for name, template, scale in _MARGINS.get(kind, ())
        if (value := getattr(gate, name)) is not None
    ]
    if asked and kind == "latency" and plan.latency.slack_us:
        asked.append(f"{plan.latency.slack_us / 1e3:g} ms more")
    return " and ".join(asked)


_POINTS_MORE = ("error_points", "{:g} points more of them", 100.0)
_MARGINS: dict[Kind, tuple[tuple[str, str, float], ...]] = {
    "errors": (("error_odds", "{:g} times the champion's errors", 1.0), _POINTS_MORE),
    "latency": (("latency_ratio", "{:g} times the champion's latency", 1.0),),
    "distribution": (("score_shift", "a shift of {:g} points", 100.0),),
    "quality": (("quality_points", "{:g} points of loss more", 100.0),),
    "business": (("value_loss", "{:g} % of the value lost", 100.0),),
    "sample_ratio": (("share_error", "a share {:g} % off the configured one", 100.0),),
    "shadow_errors": (("error_points", "{:g} points more", 100.0),),
    "shadow_quality": (("quality_points", "{:g} points more", 100.0),),
}


def odds(log_e: float) -> str:
    """An e-value as a person says it."""
    if log_e > log(1e6):
        return "over a million"
    if log_e < log(1e-3):
        return "under 0.001"
    rounded = float(f"{exp(log_e):.3g}")
    return f"{rounded:,.0f}" if rounded >= _WHOLE else f"{rounded:g}"


def _compared(rail: Guardrail, found: Estimate) -> str:
    if rail.kind in ("shadow_errors", "shadow_quality"):
        compared = f"on the same {found.requests:,} requests the challenger is "
        compared += _worse(found.challenger)
        if found.soak_requests:
            compared += f", on the {found.soak_requests:,} since it has all traffic "
            compared += _worse(found.soak)
        return compared
    if rail.kind == "disagreement" and found.champion is not None:
        return (
            f"of the same {found.requests:,} requests the challenger answers "
            f"{_rate(found.challenger)} otherwise and the champion, asked twice, "
            f"{_rate(found.champion)} (at most {_rate(rail.tolerance)} more may)"
        )
    template = _SEEN.get(rail.kind, _LIVE.format(_VERBS.get(rail.kind, "")))
    if rail.kind == "latency" and found.what:
        template = _SLOWER
    return template.format(
        mine=_rate(found.challenger),
        theirs=_rate(found.champion),
        allowed=_rate(rail.tolerance),
        what=found.what,
        count=f"{found.challenger_requests:,}",
        others=f"{found.requests - found.challenger_requests:,}",
        all=f"{found.requests:,}",
    )


_LIVE = (
    "{{mine}} {} over {{count}} requests of the challenger, "
    "{{theirs}} over {{others}} of the champion"
)
_SLOWER = (
    "{mine} were slower than {what} over {count} requests of the challenger, "
    "{theirs} than that quantile itself over {others} of the champion"
)
_VERBS: dict[Kind, str] = {
    "errors": "failed",
    "service_level": "failed (at most {allowed} may)",
    "latency": "were slower than the champion's p95, or failed,",
    "distribution": "scored below the champion's {what} mark",
    "class_mix": "were predicted {what}",
    "quality": "is the loss",
    "business": "of the value scale was earned",
}
_SEEN: dict[Kind, str] = {
    "disagreement": (
        "{mine} of the same {all} requests are answered otherwise (at most {allowed} may)"
    ),
    "sample_ratio": (
        "{count} of {all} requests went to the challenger, {mine} where {theirs} was configured"
    ),
}


def _worse(difference: float | None) -> str:
    worse = 100 * (difference or 0.0)
    return "as good" if worse == 0 else f"{abs(worse):.2f} points {_direction(worse)}"


def _direction(worse: float) -> str:
    return "worse" if worse > 0 else "better"


def _rate(rate: float | None) -> str:
    return "nothing" if rate is None else f"{rate:.2%}"
