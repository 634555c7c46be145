"""What a person may have done to a deployment as it stands: pure, and the same when asked twice.

Each function gives the decision to carry out, None where that is done already, and raises Conflict
with the reason and the remedy where it cannot be done. A remedy names a command that works as
things stand: what is possible while a deployment lives follows from its phase, what is possible
after its end also from what is around it. Reasons that persons give come later.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from serinus.delivery.reconcile import Decision, next_position
from serinus.delivery.types import (
    TRANSITIONS,
    Deployment,
    Outcome,
    Phase,
    Transition,
    Verdict,
)
from serinus.errors import Conflict


class Over(Conflict):
    """The deployment has ended; what can be done then, :func:`after_end` says."""


class Around(Protocol):
    """What is around a deployment; only what is asked for need be known."""

    @property
    def newest(self) -> str:
        """The id of its model's newest deployment."""

    @property
    def live(self) -> str | None:
        """The id of its model's live deployment."""

    @property
    def champion(self) -> str | None:
        """Who holds Production now."""

    @property
    def onward(self) -> int:
        """The step that it would go on with, taken up again (see :func:`retried_step`)."""

    @property
    def verdict(self) -> Verdict:
        """What the evidence says at that step."""

    @property
    def again(self) -> bool:
        """Whether it was taken up again before."""


def pause(deployment: Deployment) -> Decision | None:
    """Hold it where it is. What waits for an approval is held already."""
    if deployment.phase is Phase.PAUSED:
        return None
    # A verdict of a passed gate would look like one that waits for its approval.
    return _to(deployment, Phase.PAUSED, deployment.step, Outcome.CONTINUE, "pause")


def resume(deployment: Deployment, lately: Sequence[Transition]) -> Decision | None:
    """Go on with what a person held; it approves nothing, and begins nothing.

    What goes on by itself needs none, so that whoever asks twice is not refused in the soak, nor
    where its next gate has passed meanwhile.

    Args:
        deployment: which.
        lately: its newest two transitions.
    """
    check_readable(deployment)
    if deployment.phase in (Phase.RUNNING, Phase.SOAKING):
        return None
    if deployment.waits_for_approval and _is_resumption(lately[0]):
        return None
    if deployment.phase is not Phase.PAUSED:
        raise illegal(deployment, Phase.RUNNING, "resume")
    if deployment.waits_for_approval:
        raise Conflict(
            "its gate has passed and waits for an approval, which a resume is not",
            where=deployment.id,
            remedy=f"Approve it: serinus deployments approve {deployment.id}.",
        )
    return _to(deployment, Phase.RUNNING, deployment.step, Outcome.CONTINUE, "resume")


def _is_resumption(move: Transition) -> bool:
    held = move.from_phase is Phase.PAUSED and move.verdict is not Outcome.PROMOTE
    return held and move.to_phase is Phase.RUNNING


def approve(deployment: Deployment, last: Transition, step: int | None = None) -> Decision | None:
    """Let through a gate that has passed.

    Args:
        deployment: which.
        last: its newest transition.
        step: whose gate is meant; None is the one that waits.

    Raises:
        Conflict: no gate waits, or only an earlier one than is meant.
    """
    check_readable(deployment)
    if step is not None and step < deployment.step:
        return None
    if step is not None and step > deployment.step:
        raise Conflict(
            f"step {step} is not reached yet: the deployment is at step {deployment.step}",
            where=deployment.id,
            remedy=_meanwhile(deployment) if deployment.live else _look(deployment),
        )
    if deployment.waits_for_approval:
        phase, step = next_position(deployment)
        return _to(deployment, phase, step, Outcome.PROMOTE, "approve")
    onward = last.to_phase in (Phase.RUNNING, Phase.SOAKING, Phase.SUCCEEDED)
    if onward and last.from_phase is Phase.PAUSED and last.verdict is Outcome.PROMOTE:
        return None
    what = f"no gate waits for an approval: the deployment is {deployment.phase}"
    if not deployment.live:
        raise Over(what, where=deployment.id, remedy=_look(deployment))
    remedy = _meanwhile(deployment)
    if deployment.phase is Phase.RUNNING:
        remedy = (
            "Wait for its gate, or bring it to all traffic whatever the evidence says: serinus "
            f"deployments promote {deployment.id}."
        )
    raise Conflict(what, where=deployment.id, remedy=remedy)


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
        raise illegal(deployment, Phase.SOAKING, "promote")
    return _to(deployment, Phase.SOAKING, steps, Outcome.PROMOTE, "promote")


def abort(deployment: Deployment) -> Decision | None:
    """Give all traffic back to the champion and end."""
    if deployment.phase is Phase.ABORTED:
        return None
    return _to(deployment, Phase.ABORTED, deployment.step, deployment.verdict, "abort")


def retry(deployment: Deployment, around: Around) -> Decision | None:
    """Take up again what ended without success: same plan, step and evidence.

    Args:
        deployment: which. One that was taken up again, and lives, is being tried already.
        around: what is around it.

    Raises:
        Conflict: it lives and never ended, it succeeded, is not the model's newest, compares with a
            version that is not champion any more, or its evidence would end it at once.
    """
    if deployment.live and around.again:
        return None
    if deployment.live:
        raise Conflict(
            f"it is {deployment.phase} and never ended: there is nothing to take up again",
            where=deployment.id,
            remedy=_meanwhile(deployment),
        )
    check_readable(deployment)
    refused = _not_again(deployment, around)
    if refused:
        raise Over(refused, where=deployment.id, remedy=_look(deployment))
    return _to(deployment, Phase.PENDING, around.onward, Outcome.NO_DATA, "retry")


def after_end(deployment: Deployment, around: Around) -> str:
    """What can be done once a deployment has ended, as a command that works as things stand."""
    model, version = deployment.model, deployment.challenger
    if around.live is not None:
        return f"Another deployment is live: serinus deployments status {around.live}."
    if not deployment.unreadable and not _not_again(deployment, around):
        return f"It may be taken up again: serinus deployments retry {deployment.id}."
    if around.champion == version and deployment.champion is not None:
        back = f"serinus rollback {model} --to {deployment.champion}"
        return f"It holds Production; to go back: {back}."
    if around.champion == version:
        return _look(deployment)
    if around.verdict.outcome in _AGAINST:
        return f"Its evidence speaks against it. For other versions: serinus models show {model}."
    return f"Begin anew: serinus deploy {model} {version}."


def _not_again(deployment: Deployment, around: Around) -> str:
    """Why it cannot be taken up again; "" if it can."""
    if Phase.PENDING not in TRANSITIONS[deployment.phase]:
        return _cannot(deployment, Phase.PENDING)
    if around.newest != deployment.id:
        return (
            f"the model has a newer deployment, {around.newest}, and this one's entities are gone"
        )
    if around.champion != deployment.champion:
        before, now = deployment.champion or "none", around.champion or "none"
        return f"its champion was {before}, and now it is {now}"
    if around.verdict.outcome in _AGAINST:
        return f"its evidence would end it at once. {around.verdict.reason}"
    return ""


_AGAINST = (Outcome.ROLLBACK, Outcome.INCONCLUSIVE)


def retried_step(deployment: Deployment, history: Sequence[Transition]) -> int:
    """Where a retry goes on: at the step that was reached on evidence.

    What was taken back out of its soak passes the gate again from which it came there: the last
    one, or where a person promoted it past all others.
    """
    step = deployment.step
    if step >= len(deployment.plan.steps):
        came = [before.step for before, move in pairwise(history) if move.to_phase is Phase.SOAKING]
        step = came[-1] if came else 0
    return max(0, min(step, len(deployment.plan.steps) - 1))


def _to(deployment: Deployment, phase: Phase, step: int, verdict: Outcome, verb: str) -> Decision:
    if phase not in TRANSITIONS[deployment.phase]:
        raise illegal(deployment, phase, verb)
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


def illegal(deployment: Deployment, to: Phase, verb: str = "") -> Conflict:
    """Why a deployment cannot enter a phase, as ``verb`` asked, and what can be done instead."""
    what = (f"cannot {verb}: " if verb else "") + _cannot(deployment, to)
    if not deployment.live:
        return Over(what, where=deployment.id, remedy=_look(deployment))
    return Conflict(what, where=deployment.id, remedy=_meanwhile(deployment))


def _cannot(deployment: Deployment, to: Phase) -> str:
    return f"a deployment that is {deployment.phase} cannot become {to}"


def _meanwhile(deployment: Deployment) -> str:
    """What can be done while a deployment lives, as a command that works as it stands."""
    command = "serinus deployments"
    if deployment.phase is Phase.PENDING:
        said = "The gateways are loading its version. Wait for that, or end it"
        return f"{said}: {command} abort {deployment.id}."
    if deployment.waits_for_approval and not deployment.unreadable:
        return f"Its gate has passed and waits for you: {command} approve {deployment.id}."
    if deployment.phase is Phase.PAUSED and not deployment.unreadable:
        return f"A person holds it; to go on: {command} resume {deployment.id}."
    if deployment.phase is Phase.SOAKING:
        return f"It has all traffic; to give it back: {command} abort {deployment.id}."
    return f"It goes on by itself: {command} status {deployment.id}."


def _look(deployment: Deployment) -> str:
    return f"How it ended: serinus deployments show {deployment.id}."
