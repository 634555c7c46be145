"""Our verdicts on simulated streams: the product's own tables, e-values and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import log
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.planning import plan
from serinus.delivery.types import DeploymentSpec, Gate, Guardrail, Kind, Plan, QualityScale, Step
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import judge, measure, tally, watch
from serinus.delivery.verdicts.evidence import Evidence, Measure, Tables
from serinus.delivery.verdicts.tally import Requests
from serinus.proof.streams import VALUE_CAP, WRONG_RATE, Pairs, Stream

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SHADOW: tuple[Kind, ...] = ("shadow_errors", "shadow_quality", "disagreement")
"""Guardrails of pairs; all others are of live requests."""

EVERY = 20
"""Requests from one look to the next."""

BASIS = plan.Basis(
    quality=QualityScale("classification", 1.0, WRONG_RATE),
    score_cuts=tuple(float(cut) for cut in np.arange(1, 10) / 10),
    classes=(0, 1, 2),
)


_FULL: dict[str, Any] = {
    "model": "model",
    "challenger": "2",
    "score_shift": plan.SCORE_SHIFT,
    "class_odds": plan.CLASS_ODDS,
    "disagreement": plan.DISAGREEMENT,
    "value_cap": VALUE_CAP,
    "value_loss": 0.2,
}


def default_plan() -> Plan:
    """The plan of a classifier with labels, by the defaults."""
    return make_plan(DeploymentSpec(model="model", challenger="2"))


def full_plan() -> Plan:
    """Every guardrail that there is, with the defaults' tolerances and margins."""
    return make_plan(DeploymentSpec(**_FULL))


def sharp_plan() -> Plan:
    """Every guardrail that there is, each forgiving as little as it can: the most alarms.

    The defaults forgive a tenth and a millisecond of latency, and with labels leave out what only
    says that answers differ.
    """
    return make_plan(DeploymentSpec(**_FULL, latency_tolerance=0.0, latency_slack_ms=0.0))


def make_plan(spec: DeploymentSpec) -> Plan:
    """The product's plan of a specification for the simulated model."""
    return plan.make_plan(spec, BASIS, salt="proof")


def only(plan: Plan, kind: Kind) -> Plan:
    """The same plan with one guardrail, at its own alpha: the others need not be counted."""
    return msgspec.structs.replace(plan, guardrails=(rail_of(plan, kind),))


def looks(n: int, every: int = EVERY) -> Counts:
    """After how many requests somebody looks."""
    return np.arange(every, n + 1, every, dtype=np.int64)


def live_tables(plan: Plan, stream: Stream, ends: Counts) -> Tables:
    """What is known of live requests at each look."""
    levels, _ = tally.levels(plan, stream.requests, watch.UNSEEN)
    return tally.running({**levels, **outcomes(plan, stream)}, stream.requests, ends)


def outcomes(plan: Plan, stream: Stream) -> dict[Measure, Counts]:
    """The levels of what came later, as far as the plan's guardrails need them."""
    found = {}
    if plan.has("quality"):
        found[Measure.LOSS] = stream.loss
    if plan.has("business"):
        found[Measure.VALUE] = stream.value
    return found


def error_tables(requests: Requests, ends: Counts) -> Tables:
    """What is known of failures alone at each look."""
    return counted(Measure.ERROR, requests.failed.astype(np.int64), requests, ends)


def counted(measure: Measure, levels: Counts, requests: Requests, ends: Counts) -> Tables:
    """What is known of one measure at each look."""
    return tally.running({measure: levels}, requests, ends)


def reordered(requests: Requests, order: Counts) -> Requests:
    """The same requests in another order."""
    return Requests(**{item.name: getattr(requests, item.name)[order] for item in fields(Requests)})


def pair_tables(pairs: Pairs, ends: Counts) -> Tables:
    """What is known of mirrored requests at each look."""
    return {
        Measure.PAIR_ERROR: {0.0: running_pairs(pairs.error, 3, ends)},
        Measure.PAIR_LOSS: {0.0: running_pairs(pairs.loss, len(ev.LOSS_DIFFERENCES), ends)},
        Measure.PAIR_FLIP: {0.0: running_pairs(pairs.flip, 2, ends)},
        # A champion that never differs from itself, asked twice each time.
        Measure.PAIR_FLOOR: {0.0: running_pairs(_unlike(pairs.flip), 4, ends)},
    }


def _unlike(flip: Counts) -> Counts:
    return np.where(flip > 0, 2 * flip, flip)


def running_pairs(levels: Counts, wide: int, ends: Counts) -> Counts:
    """Shape (looks, 2, ``wide``): how often each level (-1 does not count) came by each look."""
    look = np.searchsorted(ends, np.arange(len(levels)), side="right")
    counted = (levels >= 0) & (look < len(ends))
    cells = np.bincount(look[counted] * wide + levels[counted], minlength=len(ends) * wide)
    tables = np.zeros((len(ends), 2, wide), np.int64)
    tables[:, 1] = cells.reshape(len(ends), wide).cumsum(axis=0)
    return tables


def rollout_harm(plan: Plan, pairs: Pairs, stream: Stream) -> dict[Kind, float]:
    """By guardrail, after how many pairs or live requests its harm is proven."""
    mirror, live = looks(len(pairs.error)), looks(len(stream.requests))
    in_pairs = pair_tables(pairs, mirror)
    found = harm_found(plan, live_tables(plan, stream, live), live)
    shadow = [rail for rail in plan.guardrails if rail.kind in SHADOW]
    return found | {rail.kind: harm_time(plan, rail.kind, in_pairs, mirror) for rail in shadow}


def harm_found(plan: Plan, tables: Tables, ends: Counts) -> dict[Kind, float]:
    """By guardrail, after how many requests its harm is proven; infinity is never."""
    return {rail.kind: first(harm(plan, rail, tables), ends) for rail in plan.guardrails}


def harm_time(plan: Plan, kind: Kind, tables: Tables, ends: Counts) -> float:
    """The same for one guardrail."""
    return first(harm(plan, rail_of(plan, kind), tables), ends)


def margin_time(plan: Plan, gate: Gate, kind: Kind, tables: Tables, ends: Counts) -> float:
    """After how many requests one guardrail's margin is excluded; infinity is never."""
    return first(safe(plan, gate, kind, tables), ends)


def safe(plan: Plan, gate: Gate, kind: Kind, tables: Tables) -> NDArray[np.bool_]:
    """At which looks one guardrail's margin is excluded; nowhere if the gate asks for none."""
    found = measure.log_safe(plan, gate, kind, tables)
    if found is None:
        return np.zeros((), np.bool_)
    excluded: NDArray[np.bool_] = found >= log(1.0 / plan.promote_alpha)
    return excluded


def gate_passed(plan: Plan, step: Step, tables: Tables) -> NDArray[np.bool_]:
    """At which looks every guardrail that the step's gate asks about has excluded its margin."""
    bound = log(1.0 / plan.promote_alpha)
    asked = [
        log_safe >= bound
        for rail in plan.guardrails
        if (log_safe := measure.log_safe(plan, judge.gate_of(step, rail.kind), rail.kind, tables))
        is not None
    ]
    passed: NDArray[np.bool_] = np.logical_and.reduce(np.broadcast_arrays(*asked))
    return passed


def harm(plan: Plan, rail: Guardrail, tables: Tables) -> NDArray[np.bool_]:
    """At which looks one guardrail's harm is proven."""
    proven: NDArray[np.bool_] = measure.log_harm(plan, rail, tables) >= log(1.0 / rail.alpha)
    return proven


def rail_of(plan: Plan, kind: Kind) -> Guardrail:
    """The plan's guardrail of that kind."""
    return next(rail for rail in plan.guardrails if rail.kind == kind)


def first(crossed: NDArray[np.bool_], ends: Counts) -> float:
    """The number of requests at the first look that is true; infinity if none is."""
    crossed = np.broadcast_to(crossed, ends.shape)
    return float(ends[crossed.argmax()]) if crossed.any() else float("inf")


def at(tables: Tables, look: int) -> Evidence:
    """What was known at one look."""
    return Evidence(
        {
            measure: {
                share: counts[look] if counts.ndim == 3 else counts for share, counts in by.items()
            }
            for measure, by in tables.items()
        }
    )


def plus(tables: Tables, before: Evidence) -> Tables:
    """Tables of many looks on top of what was known before them."""
    total: dict[Measure, Mapping[float, Counts]] = dict(tables)
    for measure_, known in before.tables.items():
        mine = dict(total.get(measure_, {}))
        for share, counts in known.items():
            mine[share] = _add(mine[share], counts) if share in mine else counts
        total[measure_] = mine
    return total


def _add(many: Counts, one: Counts) -> Counts:
    wide = max(many.shape[-1], one.shape[-1])
    grown = np.pad(many, [(0, 0)] * (many.ndim - 1) + [(0, wide - many.shape[-1])])
    return grown + np.pad(one, [(0, 0), (0, wide - one.shape[-1])])
