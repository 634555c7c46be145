"""The one readable sentence of each guardrail."""

from __future__ import annotations

from math import exp, log

from serinus.delivery.measure import Numbers

TITLES = {
    "errors": "Errors",
    "quality": "Labelled quality",
    "shadow_errors": "Errors in shadow",
    "shadow_quality": "Labelled quality in shadow",
}


def sentence(kind: str, state: str, found: Numbers, harm_bound: float, safe_bound: float) -> str:
    """What a guardrail's numbers say, with the bound that they are held against."""
    title = TITLES[kind]
    if state == "no_data":
        return f"{title}: nothing observed yet."
    if found.hold:
        return f"{title}: {found.hold}."
    seen = _compared(kind, found)
    if state == "harm":
        return (
            f"{title}: {seen}; the evidence that the challenger is worse is "
            f"{odds(found.log_harm)} to 1, a rollback needs {odds(harm_bound)} to 1."
        )
    if found.log_safe is None:
        return f"{title}: {seen}; no harm is proven."
    if state == "safe":
        return (
            f"{title}: {seen}; the evidence against {found.margin} is "
            f"{odds(found.log_safe)} to 1, {odds(safe_bound)} to 1 was asked."
        )
    return (
        f"{title}: {seen}; the evidence against {found.margin} is "
        f"{odds(found.log_safe)} to 1, {odds(safe_bound)} to 1 is asked."
    )


def odds(log_e: float) -> str:
    """An e-value as a person says it."""
    if log_e > log(1e6):
        return "over a million"
    return f"{exp(log_e):,.3g}"


def _compared(kind: str, found: Numbers) -> str:
    if kind.startswith("shadow"):
        worse = 100 * (found.challenger or 0.0)
        direction = "worse" if worse > 0 else "better"
        what = "as good" if worse == 0 else f"{abs(worse):.2f} points {direction}"
        return f"on the same {found.requests:,} requests the challenger is {what}"
    champion_requests = found.requests - found.challenger_requests
    noun = "failed" if kind == "errors" else "is the loss"
    return (
        f"{_rate(found.challenger)} {noun} over {found.challenger_requests:,} requests of the "
        f"challenger, {_rate(found.champion)} over {champion_requests:,} of the champion"
    )


def _rate(rate: float | None) -> str:
    return "nothing" if rate is None else f"{rate:.2%}"
