"""Where a rollback leads, and its written plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from serinus.delivery.reconcile import WorkerView
from serinus.delivery.rollback.types import Cause, Check, RollbackPlan
from serinus.delivery.types import Deployment, Phase
from serinus.errors import Conflict, NotFound
from serinus.registry.model_types import RollbackCriteria
from serinus.registry.types import ModelVersion, Stage, StageChange

CAUSES: Mapping[str, Cause] = {
    "errors": "errors",
    "service_level": "errors",
    "shadow_errors": "errors",
    "latency": "latency",
    "distribution": "answers",
    "class_mix": "answers",
    "disagreement": "answers",
    "quality": "quality",
    "shadow_quality": "quality",
    "business": "business",
    "sample_ratio": "split",
}
"""What was harmed where a guardrail of this kind has taken a deployment back."""


def check(version: str, live: Deployment | None) -> None:
    """Refuse a version that a rollback cannot lead to.

    Raises:
        Conflict: it is the live deployment's challenger.
    """
    if live is not None and version == live.challenger:
        raise Conflict(
            f"version {version} is the challenger that would be taken back",
            where=live.id,
            remedy="Name another version, or none for the champion.",
        )


def former(
    champion: ModelVersion,
    changes: Sequence[StageChange],
    taken_back: Iterable[tuple[str, datetime]] = (),
) -> str:
    """The version that served before the champion and was not itself taken back.

    Not simply the last one that left Production: after a rollback that is the version taken back,
    and asking twice must not bring it again.

    Args:
        champion: the version that holds Production.
        changes: the model's stage changes, newest first.
        taken_back: the versions that its rollbacks took back, and when they did.

    Raises:
        NotFound: there is none.
    """
    line = _line(changes[::-1], taken_back)
    if champion.version in line[1:]:
        return line[line.index(champion.version) - 1]
    raise NotFound(
        f"no version of {champion.model} served before {champion.version} and was not taken back",
        where=champion.model,
        remedy="Name a version: serinus rollback MODEL --to VERSION.",
    )


def _line(changes: Sequence[StageChange], taken_back: Iterable[tuple[str, datetime]]) -> list[str]:
    """The line of succession: each version replaced the one before it, the champion is the last.

    Who comes to Production out of Staging is promoted: it follows the one it replaces. Who comes
    out of the archive, or by a rollback, is put back: whoever followed it is taken back, and out
    of the line, until it is promoted or put back again. So is whom a rollback names, and who
    leaves Production to nobody.
    """
    lost = {_loss(changes, *each) for each in taken_back}
    line: list[str] = []
    leaving, by_rollback = "", False
    for place, change in enumerate(changes):
        name = change.version
        enters = change.to_stage is Stage.PRODUCTION
        if leaving and not enters:
            line.remove(leaving)
        put_back = enters and (by_rollback or change.from_stage is Stage.ARCHIVED)
        leaves = change.from_stage is Stage.PRODUCTION
        by_rollback = leaves and place in lost
        if place in lost and name in line:
            line.remove(name)
        leaving = name if leaves and name in line else ""
        if put_back and name in line:
            del line[line.index(name) + 1 :]
        elif enters:
            line = [item for item in line if item != name] + [name]
    return line


def _loss(changes: Sequence[StageChange], version: str, at: datetime) -> int:
    """The place of the change by which a rollback archived a version; -1 if it is not there.

    Of all that archived it the nearest in time, and not the last one before: the clock may have
    been set back since.
    """
    places = [
        place
        for place, change in enumerate(changes)
        if change.version == version and change.to_stage is Stage.ARCHIVED
    ]
    return min(reversed(places), key=lambda place: abs(changes[place].at - at), default=-1)


def has_served(version: str, changes: Sequence[StageChange]) -> bool:
    """Whether a version was ever in Production."""
    return any(
        change.version == version and change.to_stage is Stage.PRODUCTION for change in changes
    )


def is_warm(label: str, workers: Sequence[WorkerView]) -> bool:
    """Whether every live worker has ``model@version`` loaded; without any worker nobody waits."""
    return all(label in worker.ready for worker in workers)


def write(
    target: ModelVersion,
    taken_back: str,
    workers: Sequence[WorkerView],
    *,
    folder: Check,
    live: Deployment | None,
    served: bool,
    criteria: RollbackCriteria,
) -> RollbackPlan:
    """The plan of a rollback that a person asks for, or that is proposed.

    Args:
        target: the version to go back to.
        taken_back: the one that loses its traffic.
        workers: those that reported lately.
        folder: whether the target's artifacts can be read.
        live: the deployment that ends with it.
        served: whether the target was ever in Production.
        criteria: how well its model must be again, and how soon.
    """
    label = f"{target.model}@{target.version}"
    gates = [gate.name for gate in target.failed_gates]
    checks = (
        Check("version", passed=True, detail=f"{label} is registered ({target.stage})."),
        folder,
        Check(
            "gates",
            not gates,
            f"It failed {', '.join(gates)}." if gates else "It passed all of its gates.",
        ),
        _loaded(label, workers),
        Check("served", passed=True, detail="It was in Production before.")
        if served
        else Check("served", None, "It was never in Production: nobody knows how it serves."),
    )
    return RollbackPlan(
        target.version,
        checks,
        _actions(target.version, taken_back, live, warm=is_warm(label, workers)),
        _verification(target.version, criteria),
        criteria.verify_seconds,
    )


def automatic(deployment: Deployment, criteria: RollbackCriteria) -> RollbackPlan:
    """The plan that a deployment's own end is: its champion never stopped being loaded.

    Raises:
        ValueError: the deployment had no champion.
    """
    if deployment.champion is None:
        raise ValueError("a first version has nobody to go back to")
    detail = f"{deployment.model}@{deployment.champion} was kept loaded for this."
    return RollbackPlan(
        deployment.champion,
        (Check("loaded", passed=True, detail=detail),),
        _actions(deployment.champion, deployment.challenger, deployment, warm=True),
        _verification(deployment.champion, criteria),
        criteria.verify_seconds,
    )


def _actions(
    target: str, taken_back: str, live: Deployment | None, *, warm: bool
) -> tuple[str, ...]:
    """What changes, in its order: where the target holds Production, that is little."""
    if live is not None and live.champion == target:
        return _ending(target, live)
    actions = []
    stays = taken_back
    if live is not None:
        actions.append(f"The deployment {live.id} ends: {_asked_no_more(live)}.")
        stays = live.champion or taken_back
    if warm:
        actions.append(f"One routing revision gives {target} all traffic at once.")
    else:
        actions += [
            f"The workers load {target}; {stays} answers meanwhile.",
            f"When all of them have it, one routing revision gives {target} all traffic.",
            f"If one cannot load it, {stays} stays, and the rollback says why.",
        ]
    archived = f"{taken_back} is archived"
    if stays != taken_back:
        archived = f"{taken_back} and {stays} are archived"
    return (*actions, f"{target} enters Production, {archived}.")


def _ending(champion: str, live: Deployment) -> tuple[str, ...]:
    """Of a rollback to the deployment's own champion, which never stopped being loaded."""
    soaks = live.phase is Phase.SOAKING
    stage = "enters" if soaks else "stays in"
    traffic = f"One routing revision gives {champion} all traffic at once."
    if not soaks and not _answers(live):
        traffic = f"{champion} has all traffic, and keeps it."
    return (
        f"The deployment {live.id} ends: {_asked_no_more(live)}.",
        traffic,
        f"{champion} {stage} Production, {live.challenger} is archived.",
    )


def _answers(live: Deployment) -> bool:
    """Whether a challenger answers requests of its own; of a plan that cannot be read it may."""
    if live.phase is Phase.PENDING:
        return False
    return live.step >= len(live.plan.steps) or not live.plan.steps[live.step].shadow


def _asked_no_more(live: Deployment) -> str:
    names, verb = " and ".join(live.challengers), "get" if len(live.challengers) > 1 else "gets"
    if live.phase is Phase.PENDING:
        return f"{names} {verb} no request, as until now"
    if _answers(live):
        return f"{names} {verb} no request any more"
    return f"{names} {verb} no mirrored request any more"


def _loaded(label: str, workers: Sequence[WorkerView]) -> Check:
    if not workers:
        return Check("loaded", None, "No worker is live; who starts will load it.")
    ready = sum(label in worker.ready for worker in workers)
    if ready == len(workers):
        return Check("loaded", passed=True, detail=f"It is loaded on all {ready} workers.")
    return Check(
        "loaded", None, f"It is loaded on {ready} of {len(workers)} workers; the rest will tell."
    )


def _verification(version: str, criteria: RollbackCriteria) -> tuple[str, ...]:
    found = [
        f"Every live worker has the new table, and every answer from then on is {version}'s.",
        f"Errors: at most {100 * criteria.error_points:g} points above their earlier range.",
        f"Latency: median and p95 at most {criteria.latency_ratio:g} times their earlier range.",
        "Answers: the share of each class, or of each part of the values, is the earlier one.",
    ]
    if criteria.quality_points is not None:
        found.append(
            f"Quality, as labels come: at most {100 * criteria.quality_points:g} points below."
        )
    if criteria.value_loss is not None:
        found.append(f"Business value: at most {100 * criteria.value_loss:g} % below.")
    return tuple(found)
