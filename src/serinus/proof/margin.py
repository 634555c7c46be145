"""``prove margin``: a challenger that is exactly as bad as its margin; who lets it through errs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery import plan as plans
from serinus.delivery.evidence import Measure
from serinus.delivery.types import Gate, Kind, Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.streams import Course, Difference, Stream
from serinus.proof.types import Claim, Measured, Trials

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
class Truth:
    """A challenger on the margin of one guardrail, and the gate that it must not pass."""

    kind: Kind
    difference: Difference
    gate: Gate
    drift: _Drift


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "margin",
        "A challenger exactly as bad as the margin of a guardrail passes it at most 4 times in "
        "100, watched after every 20 requests.",
        750,
        prove,
    )


def truths(plan: Plan) -> dict[str, Truth]:
    """By name, what is on the margin. The margins are the defaults."""
    odds, points, slack = 2.0, 0.005, plan.latency.slack_us
    last, early = plan.latency.last_ratio, plan.latency.early_ratio
    swing, still = streams.all_swing, streams.flat
    return {
        # Either margin is enough, so only who exceeds both must not pass.
        "errors": Truth(
            "errors",
            Difference(error_ratio=odds, error_points=points),
            Gate(error_odds=odds, error_points=points),
            swing,
        ),
        "latency, last step": Truth(
            "latency",
            Difference(latency_ratio=last, latency_slack_us=slack),
            Gate(latency_ratio=last),
            swing,
        ),
        "latency, early steps": Truth(
            "latency",
            Difference(latency_ratio=early, latency_slack_us=slack),
            Gate(latency_ratio=early),
            swing,
        ),
        "quality": Truth(
            "quality", Difference(wrong_points=0.02), Gate(quality_points=0.02), swing
        ),
        "business": Truth("business", Difference(value_ratio=0.8), Gate(value_loss=0.2), swing),
        # A drifting distribution would move the difference from cut to cut.
        "distribution": Truth(
            "distribution", Difference(score_shift=0.1), Gate(score_shift=0.1), still
        ),
        "mirrored errors": Truth(
            "shadow_errors", Difference(error_points=0.02), Gate(error_points=0.02), swing
        ),
        "mirrored quality": Truth(
            "shadow_quality", Difference(wrong_points=0.02), Gate(quality_points=0.02), swing
        ),
    }


def prove(trials: Trials, runs: int) -> Measured:
    """How often each guardrail passes a challenger on its margin, in halves and along the ramp."""
    plan = judging.full_plan()
    found = []
    notes = {}
    for name, truth in truths(plan).items():
        parts = [
            trials.run(partial(one_run, plan, truth, steps), runs, name=f"margin, {name}, {how}")
            for steps, how in ((streams.HALVES, "halves"), (streams.RAMP, "ramp"))
        ]
        passed = np.concatenate(parts)
        others = {
            rule: passed[:, 1 + place]
            for place, rule in enumerate(_RULES)
            if not np.isnan(passed[:, 1 + place]).any()
        }
        found.append(bars.rate_at_most(f"wrongly passed, {name}", passed[:, 0], LIMIT, others))
        notes[f"wrongly passed, {name}"] = {
            "at half the traffic": float(parts[0][:, 0].mean()),
            "along the ramp": float(parts[1][:, 0].mean()),
        }
    shares = [
        trials.run(partial(one_split, plan, share, off), runs, name=f"margin, {share} {off}")
        for share, off in ((0.5, -1), (0.5, +1), (0.1, +1))
    ]
    found.append(bars.rate_at_most("wrongly passed, share", np.concatenate(shares)[:, 0], LIMIT))
    return Measured(tuple(found), runs * (2 * len(truths(plan)) + len(shares)), notes)


def one_run(plan: Plan, truth: Truth, steps: tuple[float, ...], rng: np.random.Generator) -> Floats:
    """Whether the gate let it through, ours and others (NaN: not applicable)."""
    if truth.kind in judging.SHADOW:
        course = truth.drift(rng, PAIRS)
        ends = judging.looks(PAIRS)
        tables = judging.pair_tables(streams.mirrored(rng, course, truth.difference), ends)
        time = judging.margin_time(plan, truth.gate, truth.kind, tables, ends)
        return np.array([float(np.isfinite(time)), *[np.nan] * len(_RULES)])
    ramped = len(steps) > 1
    course = truth.drift(rng, REQUESTS) if ramped else streams.flat(rng, REQUESTS)
    if truth.kind == "quality":
        # Failures count as wrong in both arms and would leave less than the margin between them.
        course = streams.with_errors(course, np.zeros(REQUESTS))
    share = streams.shares(REQUESTS, steps)
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
    delivered = share * (1 + off * plans.SHARE_ERROR)
    challenger = rng.binomial(judging.EVERY, delivered, len(ends)).cumsum()
    tables = np.zeros((len(ends), 2, 2), np.int64)
    tables[:, 1, 0] = challenger
    tables[:, 0, 0] = ends - challenger
    gate = Gate(share_error=plans.SHARE_ERROR)
    time = judging.margin_time(plan, gate, "sample_ratio", {Measure.ERROR: {share: tables}}, ends)
    return np.array([float(np.isfinite(time))])
