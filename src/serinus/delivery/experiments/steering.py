"""What an experiment does by itself: drop who harms, move traffic, and come to its end.

Everything is latched in the store before it takes effect, in transactions that are guarded as the
controller's own; one that is cut off anywhere is simply steered again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Engine, update

from serinus.delivery import repository as deployments
from serinus.delivery.experiments import (
    allocation,
    comparisons,
    conclude,
    design,
    measuring,
    repository,
)
from serinus.delivery.experiments.analysis import Question
from serinus.delivery.experiments.repository import State
from serinus.delivery.experiments.types import Evaluation
from serinus.delivery.reconcile import Decision
from serinus.delivery.types import Deployment, Outcome, Phase, Verdict
from serinus.delivery.verdicts import judge
from serinus.delivery.verdicts.evidence import Evidence
from serinus.store import schema
from serinus.store.engine import exclusive, reading

Guard = Callable[[Connection], None]


@dataclass(frozen=True)
class Steered:
    """An experiment after it was steered.

    ``deployment`` has the winner as its challenger; ``moved`` is whether the shares in force
    changed, so that the routing table must be made anew.
    """

    deployment: Deployment
    decision: Decision | None
    moved: bool


def verdict_of(deployment: Deployment, evidence: Evidence) -> Verdict:
    """What the judge says of a deployment's own evidence.

    Of several challengers one that harms is dropped, which is no verdict on the whole.
    """
    part = comparisons.of(deployment)
    if len(part) == 1:
        return judge.judge(deployment.plan, deployment.step, evidence)
    mine = next(item for item in part.values() if item.id == deployment.id)
    found = judge.judge(mine.plan, mine.step, evidence)
    if found.outcome is Outcome.ROLLBACK and deployment.phase is not Phase.SOAKING:
        return msgspec.structs.replace(found, outcome=Outcome.CONTINUE)
    return found


def steer(engine: Engine, deployment: Deployment, guard: Guard, now: datetime) -> Steered | None:
    """Look at a live experiment and latch what follows; None while it is not at its live step."""
    if not design.is_collecting(deployment):
        return None
    with reading(engine) as connection:
        state = repository.load(connection, deployment.id)
        if state is None:
            return None
        harmed = _harmed(connection, deployment, state)
    changed = _changed(deployment, state, harmed)
    if changed is not None:
        state = changed
        with engine.begin() as connection:
            guard(connection)
            repository.save_steering(connection, deployment.id, state, now)
    places = range(len(comparisons.challengers(deployment)))
    if len(places) > 1 and all(place in state.dropped for place in places):
        reasons = " ".join(state.dropped[place] for place in places)
        decision = Decision(Phase.ROLLED_BACK, deployment.step, Outcome.ROLLBACK, reasons)
        return Steered(deployment, decision, moved=True)
    if deployment.phase is not Phase.RUNNING or not state.sums.closed_at:
        return Steered(deployment, None, moved=changed is not None)
    return _ended(engine, deployment, state, guard, now)


def evaluation(deployment: Deployment, state: State) -> Evaluation:
    """What may be said of an experiment now."""
    asked = design.of(deployment)
    metric = measuring.metric_of(asked, state)
    question = Question(asked, state.setup, metric, frozenset(state.dropped))
    identity = (deployment.id, deployment.model)
    return conclude.evaluate(identity, question, state.sums, state.shares, state.dropped)


def crown(connection: Connection, deployment: Deployment, winner: str, now: datetime) -> Deployment:
    """Make a challenger of an experiment the deployment's own; its evidence comes with it."""
    if winner == deployment.challenger:
        return deployment
    exclusive(connection, deployments.FOLD_LOCK)
    place = comparisons.challengers(deployment).index(winner)
    before = comparisons.challengers(deployment).index(deployment.challenger)
    repository.swap_evidence(connection, deployment.id, place, before)
    table = schema.deployments
    connection.execute(
        update(table).where(table.c.id == deployment.id).values(challenger=winner, updated_at=now)
    )
    return msgspec.structs.replace(deployment, challenger=winner, updated_at=now)


def _ended(
    engine: Engine, deployment: Deployment, state: State, guard: Guard, now: datetime
) -> Steered:
    found = evaluation(deployment, state)
    why = found.recommendation.sentence
    if found.winner is None:
        decision = Decision(Phase.SUCCEEDED, deployment.step, Outcome.PROMOTE, why)
        return Steered(deployment, decision, moved=False)
    with engine.begin() as connection:
        guard(connection)
        deployment = crown(connection, deployment, found.winner, now)
    if not deployment.plan.auto_promote or deployment.plan.steps[0].approval:
        why = f"Ready for all traffic; waits for promote. {why}"
        return Steered(
            deployment, Decision(Phase.PAUSED, deployment.step, Outcome.PROMOTE, why), moved=False
        )
    steps = len(deployment.plan.steps)
    return Steered(deployment, Decision(Phase.SOAKING, steps, Outcome.PROMOTE, why), moved=False)


def _harmed(connection: Connection, deployment: Deployment, state: State) -> dict[int, str]:
    """Of several challengers those that a guardrail has just proven harmful, and why."""
    parts = comparisons.of(deployment)
    if len(parts) == 1:
        return {}
    found = {}
    for place, part in parts.items():
        if place in state.dropped:
            continue
        verdict = judge.judge(part.plan, part.step, deployments.evidence(connection, part.id))
        if verdict.outcome is Outcome.ROLLBACK:
            found[place] = verdict.reason
    return found


def _changed(deployment: Deployment, state: State, harmed: dict[int, str]) -> State | None:
    """The state with other shares; None if they stay."""
    dropped = state.dropped | harmed
    shares = allocation.without(state.shares, dropped)
    looks = state.sums.looks
    allocated = state.allocated
    asked = design.of(deployment)
    if asked.allocation == "thompson" and looks and looks[-1].number > allocated:
        allocated = looks[-1].number
        rises = measuring.metric_of(asked, state).rises
        shares = allocation.thompson(
            looks[-1], shares, dropped, rises=rises, seed=deployment.plan.salt
        )
    if shares == state.shares and dropped == state.dropped and allocated == state.allocated:
        return None
    return State(state.setup, shares, dropped, state.sums, allocated)
