"""What a person may have done to a deployment as it stands: pure, and the same when asked twice.

Each function gives the decision to carry out, None where that is done already, and raises Conflict
with the reason and the remedy where it cannot be done. Reasons that persons give come later.
"""

from __future__ import annotations

from serinus.delivery.reconcile import Decision, next_position
from serinus.delivery.types import (
    LIVE,
    TRANSITIONS,
    Deployment,
    Outcome,
    Phase,
    Transition,
    Verdict,
)
from serinus.errors import Conflict


def pause(deployment: Deployment) -> Decision | None:
    """Hold it where it is. What waits for an approval is held already."""
    if deployment.phase is Phase.PAUSED:
        return None
    # A verdict of a passed gate would look like one that waits for its approval.
    return _to(deployment, Phase.PAUSED, deployment.step, Outcome.CONTINUE)


def resume(deployment: Deployment) -> Decision | None:
    """Go on with what a person held; it approves nothing, and begins nothing."""
    check_readable(deployment)
    if deployment.phase is Phase.RUNNING:
        return None
    if deployment.phase is not Phase.PAUSED:
        raise illegal(deployment, Phase.RUNNING)
    if deployment.waits_for_approval:
        raise Conflict(
            "its gate has passed and waits for an approval, which a resume is not",
            where=deployment.id,
            remedy=f"Approve it: serinus deployments approve {deployment.id}.",
        )
    return _to(deployment, Phase.RUNNING, deployment.step, Outcome.CONTINUE)


def approve(deployment: Deployment, last: Transition) -> Decision | None:
    """Let through a gate that has passed.

    Args:
        deployment: which.
        last: its newest transition.

    Raises:
        Conflict: no gate waits.
    """
    check_readable(deployment)
    if deployment.waits_for_approval:
        phase, step = next_position(deployment)
        return _to(deployment, phase, step, Outcome.PROMOTE)
    onward = last.to_phase in (Phase.RUNNING, Phase.SOAKING, Phase.SUCCEEDED)
    if onward and last.from_phase is Phase.PAUSED and last.verdict is Outcome.PROMOTE:
        return None
    remedy = "Nothing is to be done."
    if deployment.phase is Phase.PAUSED:
        remedy = f"A person holds it; to go on: serinus deployments resume {deployment.id}."
    elif deployment.live:
        remedy = "Wait for its gate, or bring it to all traffic whatever it says: promote."
    raise Conflict(
        f"no gate waits for an approval: the deployment is {deployment.phase}",
        where=deployment.id,
        remedy=remedy,
    )


def promote(deployment: Deployment) -> Decision | None:
    """Give the challenger all traffic, whatever the evidence says.

    Not before the gateways have loaded it. A first version has its model's traffic already.
    """
    check_readable(deployment)
    steps = len(deployment.plan.steps)
    arrived = deployment.phase is Phase.SUCCEEDED and deployment.step >= steps
    if arrived or deployment.phase is Phase.SOAKING:
        return None
    if deployment.phase is Phase.PENDING and deployment.champion is not None:
        raise illegal(deployment, Phase.SOAKING)
    return _to(deployment, Phase.SOAKING, steps, Outcome.PROMOTE)


def abort(deployment: Deployment) -> Decision | None:
    """Give all traffic back to the champion and end."""
    if deployment.phase is Phase.ABORTED:
        return None
    return _to(deployment, Phase.ABORTED, deployment.step, deployment.verdict)


def retry(
    deployment: Deployment, *, newest: str, champion: str | None, verdict: Verdict
) -> Decision | None:
    """Take up again what ended without success: same plan, step and evidence.

    Args:
        deployment: which. A live one is being tried already.
        newest: the id of the model's newest deployment.
        champion: who holds Production now.
        verdict: what the evidence says at the step that it would go on with.

    Raises:
        Conflict: it succeeded, is not the model's newest, compares with a version that is not
            champion any more, or its evidence would end it at once.
    """
    if deployment.live:
        return None
    check_readable(deployment)
    step = retried_step(deployment)
    decision = _to(deployment, Phase.PENDING, step, Outcome.NO_DATA)
    refused, remedy = "", "Create a new deployment."
    if newest != deployment.id:
        refused = f"the model has a newer deployment, {newest}, and this one's entities are gone"
    elif champion != deployment.champion:
        refused = f"its champion was {deployment.champion or 'none'}, and now it is {champion}"
    elif verdict.outcome in (Outcome.ROLLBACK, Outcome.INCONCLUSIVE):
        refused = f"its evidence would end it at once. {verdict.reason}"
        remedy = "Deploy another version; a new deployment of this one begins without evidence."
    if refused:
        raise Conflict(refused, where=deployment.id, remedy=remedy)
    return decision


def retried_step(deployment: Deployment) -> int:
    """Where a retry goes on: what was taken back out of its soak passes the last gate again."""
    return max(0, min(deployment.step, len(deployment.plan.steps) - 1))


def _to(deployment: Deployment, phase: Phase, step: int, verdict: Outcome) -> Decision:
    if phase not in TRANSITIONS[deployment.phase]:
        raise illegal(deployment, phase)
    return Decision(phase, step, verdict, "")


def check_readable(deployment: Deployment) -> None:
    """Refuse what needs the plan of a deployment that cannot be read.

    Raises:
        Conflict: it cannot be read.
    """
    if deployment.unreadable:
        raise Conflict(
            f"what is stored of the deployment cannot be read ({deployment.unreadable})",
            where=deployment.id,
            remedy="End it, and deploy again: serinus deployments abort "
            f"{deployment.id}; or restore the store from a backup."
            if deployment.live
            else "Create a new deployment, or restore the store from a backup.",
        )


def illegal(deployment: Deployment, to: Phase) -> Conflict:
    """Why a deployment cannot enter a phase, and what can be done instead."""
    remedy = "Look at its status for what is possible now."
    if deployment.phase not in LIVE:
        when = f"It ended at {deployment.ended_at:%F %T} UTC; " if deployment.ended_at else ""
        retried = "retry it, or " if TRANSITIONS[deployment.phase] else ""
        remedy = f"{when}{retried}create a new one."
    elif deployment.phase is Phase.PENDING:
        remedy = "The gateways are loading its version; wait for that, or abort it."
    return Conflict(
        f"a deployment that is {deployment.phase} cannot become {to}",
        where=deployment.id,
        remedy=remedy,
    )
