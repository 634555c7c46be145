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
    ``workers`` are those that reported lately; ``now`` is the controller's clock.
    """

    deployment: Deployment
    verdict: Verdict
    fresh: int
    workers: tuple[WorkerView, ...]
    now: datetime


class Decision(msgspec.Struct, frozen=True):
    """Where the deployment goes, and why."""

    phase: Phase
    step: int
    verdict: Outcome
    reason: str


def reconcile(snapshot: Snapshot) -> Decision | None:
    """What to do now; None is: stay. Deciding twice on the same facts decides the same."""
    deployment = snapshot.deployment
    if not deployment.live:
        return None
    if snapshot.verdict.outcome is Outcome.ROLLBACK:
        return Decision(
            Phase.ROLLED_BACK, deployment.step, Outcome.ROLLBACK, snapshot.verdict.reason
        )
    if (
        snapshot.verdict.outcome is Outcome.INCONCLUSIVE
        and Phase.INCONCLUSIVE in TRANSITIONS[deployment.phase]
    ):
        return Decision(
            Phase.INCONCLUSIVE, deployment.step, Outcome.INCONCLUSIVE, snapshot.verdict.reason
        )
    match deployment.phase:
        case Phase.PENDING:
            return _load(snapshot)
        case Phase.RUNNING:
            return _advance(snapshot)
        case Phase.SOAKING:
            return _soak(snapshot)
        case _:
            return None


def next_position(deployment: Deployment) -> tuple[Phase, int]:
    """Where a passed gate leads: to the next step, or to all traffic."""
    following = deployment.step + 1
    if following < len(deployment.plan.steps):
        return Phase.RUNNING, following
    return Phase.SOAKING, len(deployment.plan.steps)


def _load(snapshot: Snapshot) -> Decision | None:
    deployment = snapshot.deployment
    wanted = f"{deployment.model}@{deployment.challenger}"
    for view in snapshot.workers:
        if wanted in view.failed:
            return Decision(
                Phase.ROLLED_BACK,
                deployment.step,
                Outcome.ROLLBACK,
                f"Gateway worker {view.worker} could not load {wanted}: {view.failed[wanted]}",
            )
    if snapshot.workers and all(wanted in view.ready for view in snapshot.workers):
        count = len(snapshot.workers)
        loaded = f"{wanted} is loaded and warm on {count} gateway worker{'s'[: count > 1]}."
        if deployment.plan.steps:
            return Decision(Phase.RUNNING, 0, Outcome.NO_DATA, loaded)
        return Decision(Phase.SOAKING, 0, Outcome.PROMOTE, f"{loaded} Its plan has no step.")
    if _seconds(snapshot) > deployment.plan.load_seconds:
        return Decision(
            Phase.INCONCLUSIVE,
            deployment.step,
            Outcome.INCONCLUSIVE,
            f"No gateway had {wanted} ready within {deployment.plan.load_seconds:g} s.",
        )
    return None


def _advance(snapshot: Snapshot) -> Decision | None:
    deployment, verdict = snapshot.deployment, snapshot.verdict
    step = deployment.plan.steps[deployment.step]
    if verdict.outcome is Outcome.PROMOTE and not unmet(step, snapshot):
        phase, following = next_position(deployment)
        if step.approval:
            return Decision(
                Phase.PAUSED,
                deployment.step,
                Outcome.PROMOTE,
                f"Waits for approval (resume goes on). {verdict.reason}",
            )
        if phase is Phase.SOAKING and not deployment.plan.auto_promote:
            return Decision(
                Phase.PAUSED,
                deployment.step,
                Outcome.PROMOTE,
                f"Ready for all traffic; waits for promote. {verdict.reason}",
            )
        return Decision(phase, following, Outcome.PROMOTE, verdict.reason)
    if _seconds(snapshot) > step.max_seconds:
        return Decision(
            Phase.INCONCLUSIVE,
            deployment.step,
            Outcome.INCONCLUSIVE,
            f"Step {deployment.step + 1} was undecided after its {step.max_seconds / 3600:g} h. "
            + verdict.reason,
        )
    return None


def unmet(step: Step, snapshot: Snapshot) -> str:
    """What the step still waits for beside evidence; "" if nothing. Weight needs fresh requests."""
    if snapshot.fresh < step.min_requests:
        return f"{snapshot.fresh} of {step.min_requests} requests of this step"
    if _seconds(snapshot) < step.min_seconds:
        return f"{_seconds(snapshot):.0f} of {step.min_seconds:g} seconds of this step"
    return ""


def _soak(snapshot: Snapshot) -> Decision | None:
    plan = snapshot.deployment.plan
    if _seconds(snapshot) < plan.soak_seconds:
        return None
    return Decision(
        Phase.SUCCEEDED,
        snapshot.deployment.step,
        Outcome.PROMOTE,
        f"The soak of {plan.soak_seconds:g} s ended: nothing that came in it proved harm.",
    )


def _seconds(snapshot: Snapshot) -> float:
    # A clock that jumped back must not make a time-out of a negative age.
    return max(0.0, (snapshot.now - snapshot.deployment.step_entered_at).total_seconds())
