"""What an experiment does by itself: drop who harms, move traffic, and come to its end.

Everything is latched in the store before it takes effect, in transactions that are guarded as the
controller's own; one that is cut off anywhere is simply steered again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Engine, update

from serinus.delivery import turns
from serinus.delivery.experiments import (
    allocation,
    comparisons,
    conclude,
    design,
    measuring,
    repository,
)
from serinus.delivery.experiments.analysis import Question
from serinus.delivery.experiments.repository import Stamp, State
from serinus.delivery.experiments.sums import Look, Shares
from serinus.delivery.experiments.types import Allocation, Evaluation
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments, evidence, looks
from serinus.delivery.types import Deployment, Outcome, Phase, Verdict
from serinus.delivery.verdicts import judge
from serinus.delivery.verdicts.evidence import Evidence
from serinus.errors import Conflict
from serinus.store import schema
from serinus.store.engine import reading

Guard = Callable[[Connection], None]


@dataclass(frozen=True)
class Steered:
    """What follows of a look at an experiment.

    ``moved`` is whether the shares in force changed, so that the routing table must be made anew;
    ``winner`` is to be crowned in the transaction that carries out the decision.
    """

    decision: Decision | None
    moved: bool = False
    winner: str | None = None


@dataclass(frozen=True)
class _Judged:
    """A challenger's comparison, what the judge says of it, and after which fold."""

    part: Deployment
    verdict: Verdict
    fold: int


def verdict_of(deployment: Deployment, evidence: Evidence) -> Verdict:
    """What the judge says of a deployment's own evidence.

    Of several challengers one that harms is dropped, which is no verdict on the whole.
    """
    mine = comparisons.own(deployment)
    found = judge.judge(mine.plan, mine.step, evidence)
    several = len(comparisons.of(deployment)) > 1
    if several and found.outcome is Outcome.ROLLBACK:
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
        judged = _judged(connection, deployment, state)
    for item in judged.values():
        if item.verdict.outcome is Outcome.INCONCLUSIVE:
            why = f"{item.part.challenger}: {item.verdict.reason}"
            return Steered(_to(deployment, Phase.INCONCLUSIVE, Outcome.INCONCLUSIVE, why))
    harmed = {
        place: item for place, item in judged.items() if item.verdict.outcome is Outcome.ROLLBACK
    }
    changed = _changed(deployment, state, harmed)
    if changed is not None:
        state = changed
        with engine.begin() as connection:
            guard(connection)
            repository.save_steering(connection, deployment.id, state, now)
            looks.add(connection, _looks(deployment, harmed), now)
    if len(state.dropped) == len(deployment.challengers):
        reasons = " ".join(why for _, why in sorted(state.dropped.items()))
        return Steered(_to(deployment, Phase.ROLLED_BACK, Outcome.ROLLBACK, reasons))
    crowned = deployment.challengers.index(deployment.challenger)
    if deployment.waits_for_approval and crowned in state.dropped:
        # Nobody may approve of what does harm: the rest goes on, or comes to its end without it.
        why = f"{deployment.challenger} is out: {state.dropped[crowned]}"
        return Steered(_to(deployment, Phase.RUNNING, Outcome.CONTINUE, why), changed is not None)
    if deployment.phase is not Phase.RUNNING or not state.sums.closed_at:
        return Steered(None, moved=changed is not None)
    return _ended(deployment, state)


class Steering:
    """Steers live experiments, and loads none again of which nothing came since. For one thread."""

    def __init__(self) -> None:
        self._seen: dict[str, Stamp] = {}
        self._quiet: dict[str, tuple[Deployment, Stamp]] = {}

    def look(self, connection: Connection, live: Sequence[Deployment]) -> None:
        """Ask how far each experiment is, before it is steered: two queries for all of them."""
        trials = [item for item in live if design.is_collecting(item)]
        self._seen = repository.stamps(connection, trials)
        self._quiet = {key: item for key, item in self._quiet.items() if key in self._seen}

    def steer(
        self, engine: Engine, deployment: Deployment, guard: Guard, now: datetime
    ) -> Steered | None:
        """As :func:`steer`; None as well where that would find what it found last time: nothing."""
        stamp = self._seen.get(deployment.id)
        known = self._quiet.get(deployment.id)
        if known is not None and known[0] is deployment and known[1] == stamp:
            return None
        self._quiet.pop(deployment.id, None)
        found = steer(engine, deployment, guard, now)
        # What came between the look and here has another stamp at the next look.
        if stamp is not None and (found is None or (found.decision is None and not found.moved)):
            self._quiet[deployment.id] = (deployment, stamp)
        return found


def retried(connection: Connection, deployment: Deployment, step: int) -> Verdict:
    """What the evidence says of an ended deployment, were it taken up again at a step.

    An experiment goes on while any challenger is left; not with one that was taken back as harmful
    when it had all traffic.
    """
    learnt = evidence.get(connection, deployment.id)
    again = msgspec.structs.replace(deployment, phase=Phase.RUNNING, step=step)
    mine = comparisons.own(again)
    found = judge.judge(mine.plan, step, learnt)
    state = repository.load(connection, deployment.id)
    if state is None or len(deployment.challengers) == 1:
        return found
    judged = _judged(connection, again, state)
    harmed = state.dropped | {
        place: item.verdict.reason
        for place, item in judged.items()
        if item.verdict.outcome is Outcome.ROLLBACK
    }
    reasons = " ".join(why for _, why in sorted(harmed.items()))
    soaked = deployment.step >= len(deployment.plan.steps)
    if len(harmed) == len(deployment.challengers):
        return msgspec.structs.replace(found, outcome=Outcome.ROLLBACK, reason=reasons)
    return found if soaked else verdict_of(again, learnt)


def evaluation(deployment: Deployment, state: State) -> Evaluation:
    """What may be said of an experiment now."""
    asked = design.of(deployment)
    metric = measuring.metric_of(asked, state)
    question = Question(asked, state.setup, metric, frozenset(state.dropped))
    identity = (deployment.id, deployment.model)
    return conclude.evaluate(
        identity, question, state.sums, state.shares, state.dropped, live=deployment.live
    )


def crown(connection: Connection, experiment: str, winner: str, now: datetime) -> Deployment:
    """Make a challenger of an experiment the deployment's own; its evidence comes with it.

    Raises:
        Conflict: it is not at its live step.
    """
    turns.take(connection)
    # Somebody else may have done it while this one waited.
    deployment = deployments.get(connection, experiment)
    if winner == deployment.challenger:
        return deployment
    if not design.is_collecting(deployment):
        raise Conflict(
            f"nobody can win an experiment that is {deployment.phase}",
            where=experiment,
            remedy=f"What it is: serinus deployments status {experiment}.",
        )
    place = deployment.challengers.index(winner)
    before = deployment.challengers.index(deployment.challenger)
    repository.swap_evidence(connection, deployment.id, place, before)
    table = schema.deployments
    connection.execute(
        update(table).where(table.c.id == deployment.id).values(challenger=winner, updated_at=now)
    )
    return msgspec.structs.replace(deployment, challenger=winner, updated_at=now)


def _to(deployment: Deployment, phase: Phase, verdict: Outcome, why: str) -> Decision:
    return Decision(phase, deployment.step, verdict, why)


def _ended(deployment: Deployment, state: State) -> Steered:
    found = evaluation(deployment, state)
    why = found.recommendation.sentence
    if found.winner is None:
        return Steered(_to(deployment, Phase.SUCCEEDED, Outcome.PROMOTE, why))
    if not deployment.plan.auto_promote or deployment.plan.steps[0].approval:
        why = f"Ready for all traffic; waits for promote. {why}"
        return Steered(_to(deployment, Phase.PAUSED, Outcome.PROMOTE, why), winner=found.winner)
    steps = len(deployment.plan.steps)
    decision = Decision(Phase.SOAKING, steps, Outcome.PROMOTE, why)
    return Steered(decision, winner=found.winner)


def _judged(connection: Connection, deployment: Deployment, state: State) -> dict[int, _Judged]:
    """By place, the comparisons of several challengers that are not out, and what is said of them.

    The evidence of one alone is the deployment's, and judged as everybody's.
    """
    parts = comparisons.of(deployment)
    if len(parts) == 1:
        return {}
    return {
        place: _Judged(
            part,
            judge.judge(part.plan, part.step, evidence.get(connection, part.id)),
            evidence.folded(connection, part.id),
        )
        for place, part in parts.items()
        if place not in state.dropped
    }


def _looks(
    deployment: Deployment, harmed: Mapping[int, _Judged]
) -> list[tuple[Deployment, Verdict, int]]:
    """What proved harm, as it is kept: beside the deployment's own looks, under its place."""
    return [
        (
            msgspec.structs.replace(item.part, id=deployment.comparison(place)),
            item.verdict,
            item.fold,
        )
        for place, item in harmed.items()
    ]


def _changed(deployment: Deployment, state: State, harmed: Mapping[int, _Judged]) -> State | None:
    """The state with other shares; None if they stay."""
    dropped = state.dropped | {place: item.verdict.reason for place, item in harmed.items()}
    shares = allocation.without(state.shares, dropped)
    looks, allocations = state.sums.looks, state.allocations
    if (
        design.of(deployment).allocation == "thompson"
        and looks
        and looks[-1].number > state.allocated
    ):
        made = allocate(deployment, state, looks[-1], shares, dropped)
        shares, allocations = made.after, (*allocations, made)
    if shares == state.shares and dropped == state.dropped and allocations == state.allocations:
        return None
    return State(state.setup, shares, dropped, state.sums, allocations)


def allocate(
    deployment: Deployment, state: State, look: Look, shares: Shares, dropped: Collection[int]
) -> Allocation:
    """What a look makes of the shares; the same look makes the same of them again."""
    rises = measuring.metric_of(design.of(deployment), state).rises
    seed = deployment.plan.salt
    after = allocation.thompson(look, shares, dropped, rises=rises, seed=seed)
    return Allocation(look.number, tuple(sorted(dropped)), shares, after)
