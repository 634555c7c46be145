"""Plans, deployments and evidence as values, for tests that need no registry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from serinus.delivery.planning.plan import Basis, make_plan, plan_hash, quality_scale
from serinus.delivery.types import Deployment, DeploymentSpec, Kind, Outcome, Phase, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.wire import Arm, Assignment, Output, Prediction

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLASSES = (0, 1, 2)
CUTS = tuple(number / 10 for number in range(1, 10))
BASIS = Basis(quality_scale("classification", {"accuracy": 0.95}), CUTS, CLASSES)
NUMBERS = Basis(quality_scale("regression", {"mae": 2.0}), tuple(10.0 * cut for cut in CUTS))

EVERYTHING = {
    "score_shift": 0.1,
    "class_odds": 1.5,
    "disagreement": 0.3,
    "value_cap": 10.0,
    "value_loss": 0.2,
}
"""The fields of a specification that turn every guardrail on."""
SHADOW: tuple[Kind, ...] = ("shadow_errors", "shadow_quality", "disagreement")


def plan_of(basis: Basis = BASIS, **fields: object) -> Plan:
    """The plan of a canary of ``fraud`` 1.1.0 with these fields."""
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]
    return make_plan(spec, basis, salt="d1")


def full_plan(basis: Basis = BASIS, **fields: object) -> Plan:
    """A plan with every guardrail that its basis allows: all eleven for a classifier."""
    return plan_of(basis, **{**EVERYTHING, **fields})


def deployment(
    spec: DeploymentSpec | None = None, *, basis: Basis = BASIS, **changes: object
) -> Deployment:
    """A canary of ``fraud`` 1.1.0 against 1.0.0 in its shadow step, with changes."""
    spec = spec or DeploymentSpec(model="fraud", challenger="1.1.0")
    plan = make_plan(spec, basis, salt="d1")
    sample = Deployment(
        id="d1",
        model=spec.model,
        champion="1.0.0",
        challenger=spec.challenger,
        strategy=spec.strategy,
        spec=spec,
        plan=plan,
        plan_hash=plan_hash(plan),
        phase=Phase.RUNNING,
        step=0,
        step_entered_at=NOON,
        verdict=Outcome.NO_DATA,
        reason="",
        requested_by="test",
        created_at=NOON,
        updated_at=NOON,
        ended_at=None,
    )
    return msgspec.structs.replace(sample, **changes)


def assigned(
    arm: Arm = Arm.CHALLENGER,
    *,
    share: float = 0.25,
    unit: int = 0,
    deployment: str = "d1",
    step: int = 1,
) -> Assignment:
    """How a request of deployment ``d1`` was routed."""
    return Assignment("fraud", arm, share, 7, deployment, step, unit)


def answered(
    assignment: Assignment,
    *,
    at: int = 1_000,
    output: Output | None = None,
    latency_us: int = 500,
    fallback: str = "",
    version: str = "1.1.0",
) -> Prediction:
    """The answer to a request, 1 unless another is given."""
    found = Output(1) if output is None else output
    return Prediction(at, assignment, version, (1.0,), found, latency_us, fallback)


def table(
    measure: Measure,
    share: float = 0.0,
    *,
    champion: Sequence[int] = (),
    challenger: Sequence[int] = (),
) -> Evidence:
    """Evidence of how often each level was seen in each arm (a pair's is the challenger's)."""
    counts = np.zeros((2, max(len(champion), len(challenger))), np.int64)
    counts[0, : len(champion)] = champion
    counts[1, : len(challenger)] = challenger
    return Evidence({measure: {share: counts}})


def at_levels(width: int, **counts: int) -> list[int]:
    """A row of counts that is 0 but at some levels, given as ``l3=5``."""
    row = [0] * width
    for name, count in counts.items():
        row[int(name[1:])] = count
    return row


def matured(champion: int = 0, challenger: int = 0, shadow: int = 0) -> Evidence:
    """Evidence of so many requests whose labels came."""
    found = table(Measure.MATURED, champion=[0, champion], challenger=[0, challenger])
    found += table(Measure.PAIR_MATURED, challenger=[0, shadow])
    return ev.decode(found.encode())  # nothing is said of what nothing is known of


def labelled_pairs(same: int, worse: int, better: int) -> Evidence:
    """Evidence of pairs that both answered, and whose labels came."""
    losses = at_levels(2 * ev.LOSS_STEPS + 1, l0=better, l32=same, l64=worse)
    total = same + worse + better
    return (
        table(Measure.PAIR_LOSS, challenger=losses)
        + table(Measure.PAIR_ERROR, challenger=[0, total, 0])
        + matured(shadow=total)
    )
