"""``prove aa --ledger``: this installation's own champion traffic, split in two again and again.

Both halves were answered by one version, so whatever takes the "challenger" back errs, and how
often depends on the traffic as it is: its swings, its ties, its outages. Only which arm a request
fell to is drawn anew, as a rollout would draw it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus import clock
from serinus.delivery.types import Deployment, DeploymentSpec, Guardrail, Outcome, Phase, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold, tally, watch
from serinus.delivery.verdicts.evidence import Measure
from serinus.delivery.verdicts.tally import Requests
from serinus.errors import Conflict
from serinus.ledger.types import Record
from serinus.proof import bars, judging, rules
from serinus.proof.entities import first_failures
from serinus.proof.rules import Thresholds
from serinus.proof.types import Claim, Measured, Trials
from serinus.wire import Answer, Arm, Failure, Label, Prediction, Value

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST = 100_000
LEAST = 1_000
"""Requests: only the newest are split, and fewer say nothing."""
RUNS = 300
_MOST_LOOKS = 2_000
_RULES = (rules.FOUR, *rules.OTHERS)


@dataclass(frozen=True)
class Recorded:
    """What a champion answered, in order; every array of shape (n,).

    ``loss`` and ``value`` are levels as evidence counts them (-1: nothing is known), ``unit`` the
    entity's hash, 0 for a request of its own.
    """

    requests: Requests
    loss: Counts
    value: Counts
    unit: Counts

    def __len__(self) -> int:
        """How many requests there are."""
        return len(self.requests)


def gather(plan: Plan, records: Iterable[Record]) -> Recorded:
    """The newest requests that a champion answered, with what came of them.

    Args:
        plan: whose guardrails say what must be known of a request.
        records: of one model, in any order, as the ledger gives them.

    Raises:
        Conflict: there are too few.
    """
    live: list[tuple[bytes, Prediction | Failure]] = []
    labels: dict[bytes, Answer] = {}
    values: dict[bytes, float] = {}
    for identity, event in records:
        if isinstance(event, Prediction | Failure) and event.assignment.arm is Arm.CHAMPION:
            live.append((identity, event))
            if len(live) > 2 * MOST:
                live = _newest(live)
        elif isinstance(event, Label):
            labels.setdefault(event.prediction, event.value)
        elif isinstance(event, Value):
            values.setdefault(event.prediction, event.value)
    live = _newest(live)
    if len(live) < LEAST:
        raise Conflict(
            f"{len(live)} requests that a champion answered are recorded, {LEAST:,} are needed",
            where="ledger",
            remedy="Try again after more traffic; `serinus prove aa` simulates some.",
        )
    return Recorded(
        requests=fold.requests(_standing(plan), live),
        loss=np.array([_loss(plan, event, labels.get(identity)) for identity, event in live]),
        value=np.array([_value(plan, values.get(identity)) for identity, _ in live]),
        unit=np.array([event.assignment.unit for _, event in live], np.int64),
    )


def claim(model: str, plan: Plan, recorded: Recorded, source: str) -> Claim:
    """The claim for this traffic and this plan.

    ``source`` says whose plan it is.
    """
    return Claim(
        "aa",
        f"{source} would take an equal challenger of {model} back in at most "
        f"{100 * _budget(plan):g} % of rollouts over its last {len(recorded):,} requests.",
        RUNS,
        partial(_prove, plan, recorded),
    )


def one_run(
    plan: Plan, recorded: Recorded, thresholds: Thresholds, rng: np.random.Generator
) -> Floats:
    """When each live guardrail, and each other rule, takes the drawn half back."""
    n = len(recorded)
    share = np.repeat(_shares(plan), np.diff(np.linspace(0, n, len(_shares(plan)) + 1).astype(int)))
    units = recorded.unit if plan.unit == "entity" else np.zeros(n, np.int64)
    drawn = replace(recorded.requests, share=share, challenger=draws(rng, units) < share)
    ends = judging.looks(n, _every(n))
    counts = _firsts(units)
    levels, _ = tally.levels(plan, drawn, watch.UNSEEN, counts)
    known = dict(levels)
    # An entity is drawn once, so of what came of its requests only the first counts.
    known[Measure.LOSS] = np.where(counts, recorded.loss, -1)
    known[Measure.VALUE] = np.where(counts, recorded.value, -1)
    if plan.unit == "entity":
        known[Measure.FIRST_FAILURE] = np.where(
            units != 0, first_failures(units, drawn.failed), np.where(drawn.failed, 1, -1)
        )
    tables = tally.running(known, drawn, ends)
    ours = [judging.harm_time(plan, rail.kind, tables, ends) for rail in _live(plan)]
    theirs = rules.times(drawn, ends, thresholds)
    return np.array([*ours, *(theirs[name] for name in _RULES)])


def draws(rng: np.random.Generator, units: Counts) -> Floats:
    """Shape (n,): a uniform draw for each request, the same for all of one entity."""
    own = rng.random(len(units))
    known, place = np.unique(units, return_inverse=True)
    shared: Floats = np.where(units != 0, rng.random(len(known))[place], own)
    return shared


def _prove(plan: Plan, recorded: Recorded, trials: Trials, runs: int) -> Measured:
    thresholds = Thresholds.of(recorded.requests)
    trial = partial(one_run, plan, recorded, thresholds)
    times = np.isfinite(trials.run(trial, runs, name="aa, recorded traffic"))
    rails = _live(plan)
    others = {rule: times[:, len(rails) + place] for place, rule in enumerate(_RULES)}
    ours = times[:, : len(rails)]
    bar = bars.rate_at_most("false rollbacks", ours.sum(axis=1) > 0, _budget(plan), others)
    labelled = float((recorded.loss >= 0).mean())
    return Measured(
        (bar,),
        runs,
        {
            "false rollbacks by guardrail": {
                str(rail.kind): float(ours[:, place].mean()) for place, rail in enumerate(rails)
            },
            "the traffic": {
                "requests": float(len(recorded)),
                "requests from look to look": float(_every(len(recorded))),
                "failed": float(recorded.requests.failed.mean()),
                "labelled": labelled,
            },
        },
    )


def _standing(plan: Plan) -> Deployment:
    """A rollout by this plan, for what reads events with a deployment in hand."""
    spec = DeploymentSpec(model="", challenger="")
    began = clock.now()
    return Deployment(
        id="",
        model="",
        champion=None,
        challenger="",
        strategy=spec.strategy,
        spec=spec,
        plan=plan,
        plan_hash="",
        phase=Phase.RUNNING,
        step=0,
        step_entered_at=began,
        verdict=Outcome.NO_DATA,
        reason="",
        requested_by="",
        created_at=began,
        updated_at=began,
        ended_at=None,
    )


def _newest(
    live: list[tuple[bytes, Prediction | Failure]],
) -> list[tuple[bytes, Prediction | Failure]]:
    # Writers are read one after the other; their requests interleave by time.
    return sorted(live, key=lambda item: (item[1].at, item[0]))[-MOST:]


def _loss(plan: Plan, event: Prediction | Failure, truth: Answer | None) -> int:
    if isinstance(event, Failure):
        return ev.LOSS_STEPS
    return -1 if truth is None else ev.loss_level(plan.quality, event.output.value, truth)


def _value(plan: Plan, value: float | None) -> int:
    return -1 if plan.value is None else ev.value_level(plan.value, value or 0.0)


def _live(plan: Plan) -> tuple[Guardrail, ...]:
    return tuple(rail for rail in plan.guardrails if rail.kind not in judging.SHADOW)


def _budget(plan: Plan) -> float:
    return round(sum(rail.alpha for rail in _live(plan)), 6)


def _shares(plan: Plan) -> list[float]:
    return [step.share for step in plan.steps if 0 < step.share < 1] or [0.5]


def _every(requests: int) -> int:
    return max(judging.EVERY, -(-requests // _MOST_LOOKS))


def _firsts(units: Counts) -> Flags:
    """Which requests count: of an entity the first, all of those without one."""
    first: Flags = units == 0
    first[np.unique(units, return_index=True)[1]] = True
    return first
