"""``prove margin``: a challenger that is exactly as bad as its margin; who lets it through errs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.planning import strategies
from serinus.delivery.types import Gate, Kind, Plan
from serinus.delivery.verdicts.evidence import Measure
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.streams import Course, Difference, Stream
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_Drift = Callable[[np.random.Generator, int], Course]

REQUESTS = 20_000
PAIRS = 5_000
LIMIT = 0.04
SILENCE = "shipped without significant harm at the end"
SEQUENCE = "GrowthBook, shipped where inconclusive"
RERUN = "non-inferiority z re-run"
_RULES = (RERUN, SILENCE, SEQUENCE)


@dataclass(frozen=True)
class Condition:
    """The shares along which a challenger goes, and how base rates drift meanwhile."""

    steps: tuple[float, ...]
    drift: _Drift


@dataclass(frozen=True)
class Truth:
    """A challenger on the margin of one guardrail, the gate that it must not pass, and where."""

    kind: Kind
    difference: Difference
    gate: Gate
    conditions: Mapping[str, Condition]


_ONE = (1.0,)
LAST = {
    "halves": Condition(streams.HALVES, streams.flat),
    "ramp": Condition(streams.RAMP, streams.all_swing),
}
"""Where the last gate is asked."""
EARLY = {
    "at 5 %": Condition((0.05,), streams.all_swing),
    "at 25 %": Condition((0.25,), streams.all_swing),
}
"""Where the early gates are asked."""
PAIRED = {
    "flat": Condition(_ONE, streams.flat),
    "swing": Condition(_ONE, streams.all_swing),
}
SPLITS = {"50 %, a tenth less": (0.5, -1), "50 %, a tenth more": (0.5, 1), "10 %, more": (0.1, 1)}
"""Configured shares, and in which direction the delivered one is off by the tolerance."""


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "margin",
        "A challenger exactly as bad as the margin of a guardrail, of an early or the last gate, "
        "passes it at most 4 times in 100, watched after every 20 requests.",
        2_000,
        prove,
    )


def truths(plan: Plan) -> dict[str, Truth]:
    """By name, what is on the margin. The margins are the defaults."""
    slack, last, early = plan.latency.slack_us, plan.latency.last_ratio, plan.latency.early_ratio
    found = {
        "errors": _errors(2.0, 0.005, LAST),
        # At this base rate the ratio and the points are one and the same margin.
        "rare errors": _errors(2.0, 0.005, {name: _rare(at, 0.005) for name, at in LAST.items()}),
        "latency": _latency(last, slack, LAST),
        "latency, early": _latency(early, slack, EARLY),
        "quality": _quality(0.02, LAST),
        "business": Truth("business", Difference(value_ratio=0.8), Gate(value_loss=0.2), LAST),
        # A drifting distribution would move the difference from cut to cut.
        "distribution": Truth(
            "distribution",
            Difference(score_shift=0.1),
            Gate(score_shift=0.1),
            {name: replace(at, drift=streams.flat) for name, at in LAST.items()},
        ),
        "mirrored errors": Truth(
            "shadow_errors", Difference(error_points=0.02), Gate(error_points=0.02), PAIRED
        ),
        "mirrored quality": Truth(
            "shadow_quality", Difference(wrong_points=0.02), Gate(quality_points=0.02), PAIRED
        ),
    }
    for (name, at), (_, gate) in zip(EARLY.items(), strategies.EARLY_GATES, strict=True):
        odds, points = gate.error_odds or 1.0, gate.error_points or 0.0
        both = _rare(at, points / (odds - 1.0))
        found[f"errors, early, {name}"] = _errors(odds, points, {name: both})
        worse = gate.quality_points or 0.0
        found[f"quality, early, {name}"] = _quality(worse, {name: at})
    return found


def _errors(odds: float, points: float, conditions: Mapping[str, Condition]) -> Truth:
    # Either margin is enough, so only who exceeds both must not pass.
    return Truth(
        "errors",
        Difference(error_ratio=odds, error_points=points),
        Gate(error_odds=odds, error_points=points),
        conditions,
    )


def _rare(at: Condition, rate: float) -> Condition:
    return replace(at, drift=partial(streams.failing_at, rate))


def _latency(ratio: float, slack: float, conditions: Mapping[str, Condition]) -> Truth:
    return Truth(
        "latency",
        Difference(latency_ratio=ratio, latency_slack_us=slack),
        Gate(latency_ratio=ratio),
        conditions,
    )


def _quality(points: float, conditions: Mapping[str, Condition]) -> Truth:
    return Truth(
        "quality", Difference(wrong_points=points), Gate(quality_points=points), conditions
    )


def prove(trials: Trials, runs: int) -> Measured:
    """How often each guardrail passes a challenger on its margin, under each condition."""
    plan = judging.full_plan()
    found: list[Bar] = []
    for name, truth in truths(plan).items():
        for where, condition in truth.conditions.items():
            trial = partial(one_run, plan, truth, condition)
            passed = trials.run(trial, runs, name=f"margin, {name}, {where}")
            others = {
                rule: passed[:, 1 + place]
                for place, rule in enumerate(_RULES)
                if not np.isnan(passed[:, 1 + place]).any()
            }
            case = name if name.endswith(where) else f"{name}, {where}"
            found.append(bars.rate_at_most(f"wrongly passed, {case}", passed[:, 0], LIMIT, others))
    for split, (share, off) in SPLITS.items():
        case = f"share, {split}"
        passed = trials.run(partial(one_split, plan, share, off), runs, name=f"margin, {case}")
        found.append(bars.rate_at_most(f"wrongly passed, {case}", passed[:, 0], LIMIT))
    return Measured(tuple(found), runs * len(found))


def one_run(plan: Plan, truth: Truth, condition: Condition, rng: np.random.Generator) -> Floats:
    """Whether the gate let it through, ours and others (NaN: not applicable)."""
    if truth.kind in judging.SHADOW:
        course = condition.drift(rng, PAIRS)
        ends = judging.looks(PAIRS)
        tables = judging.pair_tables(streams.mirrored(rng, course, truth.difference), ends)
        time = judging.margin_time(plan, truth.gate, truth.kind, tables, ends)
        return np.array([float(np.isfinite(time)), *[np.nan] * len(_RULES)])
    course = condition.drift(rng, REQUESTS)
    if truth.kind == "quality":
        # Failures count as wrong in both arms and would leave less than the margin between them.
        course = streams.with_errors(course, np.zeros(REQUESTS))
    share = streams.shares(REQUESTS, condition.steps)
    stream = streams.live(rng, share, course, truth.difference)
    ends = judging.looks(REQUESTS)
    tables = judging.live_tables(judging.only(plan, truth.kind), stream, ends)
    time = judging.margin_time(plan, truth.gate, truth.kind, tables, ends)
    theirs = _theirs(plan, truth, stream, ends)
    return np.array([float(np.isfinite(time)), *theirs])


def _theirs(plan: Plan, truth: Truth, stream: Stream, ends: Counts) -> list[float]:
    """Whether others let it through: a test of non-inferiority re-run, and two on silence."""
    seen, end = Seen(stream.requests, ends), Seen(stream.requests, ends[-1:])
    gate, latency = truth.gate, stream.requests.latency
    failed = stream.requests.failed.astype(np.float64)
    match truth.kind:
        case "errors":
            odds, points = gate.error_odds or 1.0, gate.error_points or 0.0
            excluded = min(
                rules.margin_excluded(seen, failed, odds, 0.0),
                rules.margin_excluded(seen, failed, 1.0, points),
            )
            harmed = rules.two_proportions(end)[0]
        case "latency":
            ratio = gate.latency_ratio or 1.0
            excluded = rules.margin_excluded(seen, latency, ratio, plan.latency.slack_us)
            harmed = rules.welch(end)[0]
        case "quality":
            wrong = (stream.loss > 0).astype(np.float64)
            excluded = rules.margin_excluded(seen, wrong, 1.0, gate.quality_points or 0.0)
            return [float(np.isfinite(excluded)), np.nan, np.nan]
        case "business":
            kept = 1.0 - (gate.value_loss or 0.0)
            excluded = rules.margin_excluded(seen, -stream.worth, kept, 0.0)
            return [float(np.isfinite(excluded)), np.nan, np.nan]
        case _:
            return [np.nan] * 3
    never = np.isinf(rules.growthbook(seen))
    return [float(np.isfinite(excluded)), float(not harmed), float(never)]


def one_split(plan: Plan, share: float, off: int, rng: np.random.Generator) -> Floats:
    """Whether a delivered share that is off by the tolerance is called sound."""
    ends = judging.looks(REQUESTS)
    delivered = share * (1 + off * strategies.SHARE_ERROR)
    challenger = rng.binomial(judging.EVERY, delivered, len(ends)).cumsum()
    tables = np.zeros((len(ends), 2, 2), np.int64)
    tables[:, 1, 0] = challenger
    tables[:, 0, 0] = ends - challenger
    gate = Gate(share_error=strategies.SHARE_ERROR)
    time = judging.margin_time(plan, gate, "sample_ratio", {Measure.ERROR: {share: tables}}, ends)
    return np.array([float(np.isfinite(time))])
