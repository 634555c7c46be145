"""Every fault of a specification in itself, each with what would be right. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isfinite

from serinus.delivery.experiments import metrics
from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.planning import ab_test
from serinus.delivery.planning.budget import ALPHAS, BUDGET
from serinus.delivery.types import DeploymentSpec

MOST_STEPS = 100
"""A plan of more would never come to its end; replicas are then replaced in larger batches."""

MOST_SECONDS = 10 * 365 * 86_400.0
"""Ten years: a time beyond that is a slip, and beyond some it is no time that a store can keep."""

MOST_UNITS = 10**12
"""More requests than any plan will see."""

_MOST = "at most ten years"


def of(spec: DeploymentSpec, *, first: bool = False, task: str | None = None) -> list[str]:
    """What keeps a specification from being a plan: ``field: what must be``, one text each.

    Args:
        spec: what was asked for.
        first: whether the model has no champion yet.
        task: what the model does, if it is known.
    """
    groups = (_shares, _margins, _answers, _budget, _times)
    checks = {text: wrong for group in groups for text, wrong in group(spec).items()}
    if spec.strategy == "rolling":
        checks |= _rolling(spec)
    if spec.strategy in ("shadow", "ab_test"):
        name = spec.strategy
        checks[f"strategy: {name} needs a champion to compare with, and there is none yet"] = first
    found = [text for text, wrong in checks.items() if wrong]
    if spec.strategy == "ab_test":
        found += _experiment(spec, task)
    return found


def _shares(spec: DeploymentSpec) -> Mapping[str, bool]:
    return {
        "shares: at least one share is needed for a canary, such as [0.05, 0.25, 0.5]": (
            spec.strategy == "canary" and not spec.shares
        ),
        "shares: each must lie between 0 and 1 (0.05 is 5 %), ends excluded": any(
            not 0 < share < 1 for share in spec.shares
        ),
        "shares: each must be larger than the one before": any(
            later <= earlier for earlier, later in zip(spec.shares, spec.shares[1:], strict=False)
        ),
        f"shares: at most {MOST_STEPS} steps": len(spec.shares) > MOST_STEPS,
    }


def _rolling(spec: DeploymentSpec) -> Mapping[str, bool]:
    replicas = spec.replicas
    sound = replicas is not None and replicas >= 2 and spec.batch >= 1
    return {
        "replicas: must be at least 2 (with one there is nothing between none and all: use "
        "blue_green)": replicas is not None and replicas < 2,
        "batch: must be at least 1": spec.batch < 1,
        "batch: must be below replicas (all at once is blue_green)": (
            sound and replicas is not None and spec.batch >= replicas
        ),
        f"batch: must leave at most {MOST_STEPS} steps of these replicas": (
            sound and replicas is not None and (replicas - 1) // spec.batch > MOST_STEPS
        ),
    }


def _margins(spec: DeploymentSpec) -> Mapping[str, bool]:
    return {
        "error_odds: must be above 1 (2 excludes twice the champion's errors)": not (
            1 < spec.error_odds < inf
        ),
        "error_points: must lie between 0 and 1 (0.005 is half a point)": not (
            0 < spec.error_points < 1
        ),
        "quality_points: must lie between 0 and 1 (0.02 is two points)": not (
            0 < spec.quality_points < 1
        ),
        "quality_tolerance: must lie between 0 and quality_points, which the gates exclude; it is "
        f"{spec.quality_tolerance:g}, quality_points is {spec.quality_points:g}": not (
            0 <= spec.quality_tolerance < spec.quality_points
        ),
        "latency_ratio: must be above 1 (1.25 excludes a quarter slower)": not (
            1 < spec.latency_ratio < inf
        ),
        "latency_tolerance: must not be negative": not 0 <= spec.latency_tolerance < inf,
        "latency_slack_ms: must not be negative": not 0 <= spec.latency_slack_ms < inf,
        "service_level: must lie between 0 and 1 (0.05 lets 5 % fail)": not (
            0 < spec.service_level < 1
        ),
    }


def _answers(spec: DeploymentSpec) -> Mapping[str, bool]:
    floor, cap = spec.value_floor, spec.value_cap
    return {
        "score_shift: must lie between 0 and 1": not _within(spec.score_shift, 0, 1),
        "class_odds: must be above 1 (1.5 allows half more or a third less)": not _within(
            spec.class_odds, 1, inf
        ),
        "disagreement: must lie between 0 and 1": not _within(spec.disagreement, 0, 1),
        "value_cap: must be above value_floor": cap is not None and not -inf < floor < cap < inf,
        "value_loss: must lie between 0 and 1, and needs value_cap": (
            not _within(spec.value_loss, 0, 1) or (spec.value_loss is not None and cap is None)
        ),
        "clone: must lie between 0 and 1": spec.clone is not None and not 0 <= spec.clone <= 1,
        "soak_mirror: must lie between 0 and 1": not 0 <= spec.soak_mirror <= 1,
        f"entities: must lie between 1 and {MOST_UNITS:.0e}": (
            spec.entities is not None and not 1 <= spec.entities <= MOST_UNITS
        ),
        "entities: needs unit = entity": spec.entities is not None and spec.unit != "entity",
    }


def _budget(spec: DeploymentSpec) -> Mapping[str, bool]:
    whole = sum({**ALPHAS, **spec.alphas}.values())
    return {
        "alphas: each must lie between 0 and 1": not all(
            0 < alpha < 1 for alpha in spec.alphas.values()
        ),
        f"alphas: with those left out they must not exceed {BUDGET:g} together": (
            whole > BUDGET + 1e-9
        ),
    }


def _times(spec: DeploymentSpec) -> Mapping[str, bool]:
    return {
        f"min_requests: must lie between 1 and {MOST_UNITS:.0e}": (
            spec.min_requests is not None and not 1 <= spec.min_requests <= MOST_UNITS
        ),
        f"min_seconds: must not be negative, and {_MOST}": not 0
        <= spec.min_seconds
        <= MOST_SECONDS,
        f"max_hours: must be above 0, and {_MOST}": not 0 < spec.max_hours * 3600 <= MOST_SECONDS,
        "max_hours: must leave room for min_seconds": 0 < spec.max_hours * 3600 < spec.min_seconds,
        f"label_window_seconds: must be above 0, and {_MOST}": (
            not 0 < spec.label_window_seconds <= MOST_SECONDS
        ),
        f"soak_seconds: must not be negative, and {_MOST}": (
            not 0 <= spec.soak_seconds <= MOST_SECONDS
        ),
    }


def _experiment(spec: DeploymentSpec, task: str | None) -> Iterator[str]:
    names = (spec.challenger, *spec.others)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        yield f"others: name each challenger once, {', '.join(twice)} is named more often"
    yield from _split(spec, len(names))
    yield from _metric(spec, task)
    if not 0 < spec.min_hours * 3600 <= MOST_SECONDS:
        yield f"min_hours: must be above 0 (a test of no time finds nothing), and {_MOST}"
    elif isfinite(spec.max_hours) and 0 < spec.max_hours < spec.min_hours:
        yield (
            f"max_hours: must be at least min_hours ({spec.min_hours:g}), as the test ends after "
            "max_hours"
        )
    if spec.allocation == "thompson" and spec.unit == "entity":
        yield "allocation: thompson needs unit = request (an entity keeps its arm)"
    if not 0.5 <= spec.confidence < 1:
        yield "confidence: must be at least 0.5 and below 1 (0.95 errs once in 20)"


def _split(spec: DeploymentSpec, challengers: int) -> Iterator[str]:
    if spec.split and len(spec.split) != challengers:
        yield (
            f"split: must have a share for each of the {challengers} challengers, it has "
            f"{len(spec.split)}; the champion has the rest"
        )
    least = ab_test.LEAST_SHARE
    if any(not least <= share < 1 for share in spec.split):
        yield f"split: each share must be at least {least:g} (1 %), and below 1"
    elif sum(spec.split) > 1 - least + 1e-9:
        yield (
            f"split: together at most {1 - least:g}, it is {sum(spec.split):g}; the champion has "
            "the rest"
        )
    elif not spec.split and 1 / (challengers + 1) < least:
        yield f"others: at most {round(1 / least) - 1} challengers share the traffic"


def _metric(spec: DeploymentSpec, task: str | None) -> Iterator[str]:
    name = spec.metric or ab_test.USUAL.get(task or "", "accuracy")
    # Of which class may stand behind a colon.
    plain = name.partition(":")[0]
    fitting = metrics.fitting(task)
    if plain not in metrics.NAMES:
        yield f"metric: there is no {name!r}; choose from {', '.join(fitting)}"
    elif plain not in fitting:
        yield f"metric: {name} is not for a {task}; choose from {', '.join(fitting)}"
    elif Metric(plain).source == "label" and not spec.labels:
        yield (
            f"metric: {name} needs labels, and labels is false; choose latency, conversion or "
            "revenue"
        )


def _within(value: float | None, low: float, high: float) -> bool:
    return value is None or low < value < high
