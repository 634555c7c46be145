"""Which fields of a specification each strategy reads; one said that it would not is a fault. Pure.

A field that is taken and ignored is a promise that nobody keeps: who writes ``batch`` beside a
canary believes that something is replaced in batches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from serinus.delivery.planning import sample
from serinus.delivery.types import DeploymentSpec, Strategy

_EVERY = frozenset(
    {
        "model", "challenger", "champion", "strategy", "labels", "unit", "entities", "alphas",
        "quality_tolerance",
        "disagreement", "clone", "min_requests", "max_hours", "label_window_seconds", "approvals",
    }
)  # fmt: skip
_MIRROR = frozenset({"quality_points", "min_seconds"})
# What compares the versions' own answers to clients.
_LIVE = frozenset(
    {
        "latency_tolerance", "latency_slack_ms", "score_shift", "class_odds", "value_floor",
        "value_cap",
    }
)  # fmt: skip
_SOAK = frozenset({"service_level", "soak_seconds", "soak_mirror", "auto_promote"})
# What the gates of live steps ask.
_RAMP = frozenset({"shadow", "error_odds", "error_points", "latency_ratio", "value_loss"})
_EXPERIMENT = frozenset(
    {"others", "split", "metric", "min_hours", "confidence", "covariate", "allocation"}
)

FIELDS: Mapping[Strategy, frozenset[str]] = {
    "shadow": _EVERY | _MIRROR,
    "blue_green": _EVERY | _MIRROR | _SOAK,
    "canary": _EVERY | _MIRROR | _LIVE | _RAMP | _SOAK | {"shares"},
    "rolling": _EVERY | _MIRROR | _LIVE | _RAMP | _SOAK | {"replicas", "batch"},
    "ab_test": _EVERY | _LIVE | _SOAK | _EXPERIMENT | {"quality_points"},
}
"""By strategy, the fields that decide its plan."""


def faults(spec: DeploymentSpec, said: Collection[str], task: str | None) -> Iterator[str]:
    """A fault for each field that was said and that the strategy of a specification ignores.

    Args:
        spec: with all that nobody said.
        said: the fields that a person named; defaults serve many strategies and are left alone.
        task: what the model does, if it is known.
    """
    for name in said:
        if name not in FIELDS[spec.strategy]:
            users = [strategy for strategy, fields in FIELDS.items() if name in fields]
            does = "does" if len(users) == 1 else "do"
            yield f"{name}: {spec.strategy} does not use it; {_listed(users)} {does}"
    if spec.strategy == "ab_test" and "quality_points" in said:
        if "min_requests" in said:
            yield (
                "quality_points: an A/B test takes its sample from it, which min_requests says "
                "already; give one"
            )
        elif not sample.is_rate(spec.metric, task):
            yield (
                f"quality_points: an A/B test takes its sample from it where its metric is a rate, "
                f"which {spec.metric or 'that of a regression'} is not; say min_requests"
            )


def _listed(names: list[Strategy]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
