"""Several challengers are as many comparisons with one champion, each with its own evidence. Pure.

The k-th one has the requests of the champion and the k-th challenger alone. Among those one goes
to the challenger with the share s_k / (s_0 + s_k), which was known before it was drawn; so every
guardrail is judged as in a test of two, with an n-th of its error probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from serinus.delivery.types import Deployment, Phase, Plan
from serinus.wire import Arm, Assignment, Event, WorkerStatus

Records = Sequence[tuple[bytes, Event]]


def of(deployment: Deployment) -> dict[int, Deployment]:
    """By place from 0, the deployment as each challenger's comparison; a soak leaves one."""
    versions = deployment.challengers
    if len(versions) == 1:
        return {0: deployment}
    plan = _shared(deployment.plan, len(versions))
    return {
        place: msgspec.structs.replace(
            deployment, id=identity, challenger=versions[place], plan=plan
        )
        for place, identity in deployment.comparisons.items()
        if deployment.phase is not Phase.SOAKING or identity == deployment.id
    }


def own(deployment: Deployment) -> Deployment:
    """The comparison of the deployment's own challenger."""
    return next(part for part in of(deployment).values() if part.id == deployment.id)


def project(records: Records, live: Sequence[Deployment]) -> tuple[Records, Sequence[Deployment]]:
    """A batch as the comparisons see it; unchanged where no deployment has several challengers.

    Args:
        records: ids and events, in ledger order.
        live: the deployments that may learn from them.

    Returns:
        The events, those of the champion once for each comparison, and the comparisons.
    """
    parts = {item.id: of(item) for item in live if len(item.challengers) > 1}
    if not parts:
        return records, live
    found: list[tuple[bytes, Event]] = []
    for identity, event in records:
        if isinstance(event, WorkerStatus) or event.assignment.deployment not in parts:
            found.append((identity, event))
            continue
        for assignment in _seen(event.assignment, parts[event.assignment.deployment]):
            found.append((identity, msgspec.structs.replace(event, assignment=assignment)))
    judged = [part for item in live for part in parts.get(item.id, {0: item}).values()]
    return found, judged


def _seen(assignment: Assignment, parts: dict[int, Deployment]) -> Iterator[Assignment]:
    shares = assignment.shares or (assignment.share,)
    mine = assignment.variant if assignment.arm is Arm.CHALLENGER else None
    champion = 1.0 - sum(shares)
    for place, part in parts.items():
        share = shares[place] if place < len(shares) else 0.0
        if mine is not None and mine != place:
            continue
        if assignment.step < len(part.plan.steps) and not share > 0.0:
            continue
        yield msgspec.structs.replace(
            assignment,
            deployment=part.id,
            share=share / (champion + share) if share > 0.0 else share,
            variant=0,
            shares=(),
        )


def _shared(plan: Plan, parts: int) -> Plan:
    """The same plan with an equal part of every guardrail's error probability."""
    rails = tuple(
        msgspec.structs.replace(rail, alpha=rail.alpha / parts) for rail in plan.guardrails
    )
    return msgspec.structs.replace(plan, guardrails=rails)
