"""The one decision of a controller pass: a pure function of everything that is known.

Order matters: harm first, in every state; then loading, gates, and only then time.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from serinus.delivery.types import TRANSITIONS, Deployment, Outcome, Phase, Step, Verdict


class WorkerView(msgspec.Struct, frozen=True):
    """What one live gateway worker said last."""

    worker: str
    revision: int
    ready: tuple[str, ...]
    failed: dict[str, str]
    circuits: dict[str, str] = {}


class Snapshot(msgspec.Struct, frozen=True):
    """Every fact of one pass over one deployment.

    ``fresh`` counts the requests (pairs in a shadow step) that the present step added;
    ``workers`` are those that reported lately. Until ``asked_since`` the model's default answers,
    or answered, alone: time in which no version is asked is no time of the deployment.
    """

    deployment: Deployment
    verdict: Verdict
    fresh: int
    workers: tuple[WorkerView, ...]
    asked_since: datetime | None = None

    def stands_still(self, now: datetime) -> bool:
        """Whether no version is asked now, so that nothing but harm moves the deployment."""
        return self.asked_since is not None and now < self.asked_since


class Decision(msgspec.Struct, frozen=True):
    """Where the deployment goes, and why."""

    phase: Phase
    step: int
    verdict: Outcome
    reason: str


def reconcile(snapshot: Snapshot, now: datetime) -> Decision | None:
    """What to do now; None is: stay. Deciding twice on the same facts decides the same.

    Args:
        snapshot: what is known.
        now: the controller's clock.
    """
    deployment, verdict = snapshot.deployment, snapshot.verdict
    if not deployment.live:
        return None
    if verdict.outcome is Outcome.ROLLBACK:
        return Decision(Phase.ROLLED_BACK, deployment.step, Outcome.ROLLBACK, verdict.reason)
    if (
        verdict.outcome is Outcome.INCONCLUSIVE
        and Phase.INCONCLUSIVE in TRANSITIONS[deployment.phase]
    ):
        return _inconclusive(deployment, verdict.reason)
    match deployment.phase:
        case Phase.PENDING:
            return _load(snapshot, now)
        case Phase.RUNNING:
            return _advance(snapshot, now)
        case Phase.SOAKING:
            return _soak(snapshot, now)
        case _:
            return None


def next_position(deployment: Deployment) -> tuple[Phase, int]:
    """Where a passed gate leads: to the next step, to all traffic, or to a good end."""
    steps, following = len(deployment.plan.steps), deployment.step + 1
    if following < steps:
        return Phase.RUNNING, following
    if deployment.plan.promotes:
        return Phase.SOAKING, steps
    return Phase.SUCCEEDED, deployment.step


def passed(deployment: Deployment, why: str) -> Decision:
    """What a passed gate leads to, where nobody has to be asked."""
    phase, step = next_position(deployment)
    if phase is Phase.SUCCEEDED:
        why = (
            f"It passed, and {deployment.champion or 'the champion'} stays as this plan was only "
            f"to find out; to bring {deployment.challenger} to production, deploy it. {why}"
        )
    return Decision(phase, step, Outcome.PROMOTE, why)


def unmet(step: Step, snapshot: Snapshot, now: datetime) -> str:
    """What the step still waits for beside evidence; "" if nothing.

    Weight needs fresh requests, and every worker that is to carry it.
    """
    age = _age(snapshot, now)
    if snapshot.fresh < step.min_requests:
        return f"{snapshot.fresh} of {step.min_requests} requests of this step"
    if age < step.min_seconds:
        return f"{age:.0f} of {step.min_seconds:g} seconds of this step"
    return _unready(snapshot)


def _load(snapshot: Snapshot, now: datetime) -> Decision | None:
    deployment = snapshot.deployment
    wanted = _challenger(deployment)
    unloadable = _unloadable(snapshot)
    if unloadable is not None or snapshot.stands_still(now):
        return unloadable
    if not _unready(snapshot):
        count = len(snapshot.workers)
        loaded = f"{wanted} is loaded and warm on {count} gateway worker{'s'[: count > 1]}."
        if deployment.plan.steps:
            # Not always the first: a retry goes on where it stood.
            return Decision(Phase.RUNNING, deployment.step, Outcome.NO_DATA, loaded)
        return Decision(Phase.SOAKING, 0, Outcome.PROMOTE, f"{loaded} Its plan has no step.")
    seconds = deployment.plan.load_seconds
    if _age(snapshot, now) > seconds:
        return _inconclusive(deployment, f"No gateway had {wanted} ready within {seconds:g} s.")
    return None


def _advance(snapshot: Snapshot, now: datetime) -> Decision | None:
    if snapshot.stands_still(now):
        return None
    deployment, verdict = snapshot.deployment, snapshot.verdict
    step = deployment.plan.steps[deployment.step]
    missing = unmet(step, snapshot, now)
    if verdict.outcome is Outcome.PROMOTE and not missing:
        return _gate(deployment, step, verdict.reason)
    if _age(snapshot, now) > step.max_seconds:
        late = f"Step {deployment.step + 1} was undecided after its {step.max_seconds / 3600:g} h."
        missing = f" It still waited for {missing}." if missing else ""
        return _inconclusive(deployment, f"{late}{missing} {verdict.reason}")
    return None


def _gate(deployment: Deployment, step: Step, why: str) -> Decision:
    """A gate has passed: go on, or ask whom the plan says."""
    onward = passed(deployment, why)
    if step.approval:
        told = f"Waits for approval: serinus deployments approve {deployment.id}. {why}"
    elif onward.phase is Phase.SOAKING and not deployment.plan.auto_promote:
        told = f"Ready for all traffic: serinus deployments approve {deployment.id}. {why}"
    else:
        return onward
    return Decision(Phase.PAUSED, deployment.step, Outcome.PROMOTE, told)


def _soak(snapshot: Snapshot, now: datetime) -> Decision | None:
    deployment = snapshot.deployment
    nobody_else = deployment.champion is None
    served = any(_challenger(deployment) in view.ready for view in snapshot.workers)
    unloadable = _unloadable(snapshot)
    # A first version that some workers serve has nobody who could do better.
    if unloadable is not None and not (nobody_else and served):
        return unloadable
    seconds = deployment.plan.soak_seconds
    early = snapshot.stands_still(now) or _age(snapshot, now) < seconds
    if early or _unready(snapshot):
        return None
    ended = f"The soak of {seconds:g} s ended: nothing that came in it proved harm."
    return Decision(Phase.SUCCEEDED, deployment.step, Outcome.PROMOTE, ended)


def _unloadable(snapshot: Snapshot) -> Decision | None:
    """The end of a challenger that a live worker could not load; None if none has said so."""
    deployment = snapshot.deployment
    wanted = _challenger(deployment)
    for view in snapshot.workers:
        if wanted in view.failed:
            why = f"Gateway worker {view.worker} could not load {wanted}: {view.failed[wanted]}"
            return Decision(Phase.ROLLED_BACK, deployment.step, Outcome.ROLLBACK, why)
    return None


def _inconclusive(deployment: Deployment, why: str) -> Decision:
    return Decision(Phase.INCONCLUSIVE, deployment.step, Outcome.INCONCLUSIVE, why)


def _unready(snapshot: Snapshot) -> str:
    """Which workers do not have the challenger; "" if all that live do, and one lives."""
    for wanted in (_challenger(snapshot.deployment), *_others(snapshot.deployment)):
        behind = [view.worker for view in snapshot.workers if wanted not in view.ready]
        if behind or not snapshot.workers:
            return f"{wanted} on {', '.join(behind) or 'any gateway worker'}"
    return ""


def _others(deployment: Deployment) -> list[str]:
    """Every challenger of an experiment that has yet to begin, or to go on."""
    experiment = deployment.plan.experiment
    if experiment is None or deployment.phase is not Phase.PENDING:
        return []
    return [f"{deployment.model}@{version}" for version in experiment.challengers]


def _challenger(deployment: Deployment) -> str:
    return f"{deployment.model}@{deployment.challenger}"


def _age(snapshot: Snapshot, now: datetime) -> float:
    began = snapshot.deployment.step_entered_at
    if snapshot.asked_since is not None:
        began = max(began, snapshot.asked_since)
    # A clock that jumped back must not make a time-out of a negative age.
    return max(0.0, (now - began).total_seconds())
