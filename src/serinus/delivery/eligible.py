"""Whether versions can be brought to traffic as they are: every reason against it, as an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serinus.delivery.types import Deployment
from serinus.errors import Conflict, InvalidInput, SerinusError
from serinus.registry import loadable
from serinus.registry.types import ModelVersion
from serinus.wire import Field


def against(
    model: str, champion: ModelVersion | None, challengers: Sequence[ModelVersion]
) -> Iterator[SerinusError]:
    """What speaks against these challengers of a champion; None where there is none yet."""
    for version in challengers:
        where = f"deployment of {model} {version.version}"
        if champion is not None and champion.version == version.version:
            yield Conflict(
                f"version {version.version} is the champion already",
                where=where,
                remedy="Deploy another version.",
            )
            continue
        yield from _gates(version, where)
        yield from _loading(version, where)
        if champion is not None:
            yield from _inputs(champion, version, where)


def named(champion: ModelVersion | None, name: str | None, where: str) -> Iterator[SerinusError]:
    """What speaks against the champion that somebody named; None named nobody."""
    holder = champion.version if champion else "none"
    if name is not None and name != holder:
        yield Conflict(
            f"version {name} does not hold Production, {holder} does",
            where=where,
            remedy="Leave the champion out, or name the one that holds Production.",
        )


def overlapping(live: Deployment | None, where: str) -> Iterator[SerinusError]:
    """A deployment of the same model that has not ended."""
    if live is not None:
        yield Conflict(
            f"another deployment of {live.model} is live ({live.id}, a {live.strategy} of "
            f"{live.challenger})",
            where=where,
            remedy=f"Wait until it has ended, or end it: serinus deployments abort {live.id}.",
        )


def _gates(version: ModelVersion, where: str) -> Iterator[SerinusError]:
    failed = [f"{gate.name}: {gate.detail}" for gate in version.failed_gates]
    if failed:
        yield InvalidInput(
            f"version {version.version} did not pass its gates",
            where=where,
            faults=failed,
            remedy="Train a version that passes them.",
        )


def _loading(version: ModelVersion, where: str) -> Iterator[SerinusError]:
    reason = loadable.why_not(version)
    if reason:
        yield InvalidInput(
            f"version {version.version} cannot be loaded: {reason}",
            where=where,
            remedy="Bring its folder back, or register the model again.",
        )


def _inputs(champion: ModelVersion, version: ModelVersion, where: str) -> Iterator[SerinusError]:
    differing = differences(champion.manifest.inputs, version.manifest.inputs)
    if differing:
        yield InvalidInput(
            f"version {version.version} takes other inputs than the champion {champion.version}, "
            "so they cannot answer the same requests",
            where=where,
            faults=differing,
            remedy="Register it as a model of its own, or keep the inputs.",
        )


def differences(theirs: Sequence[Field], mine: Sequence[Field]) -> list[str]:
    """How what requests must hold differs: not what was trained on, which may well differ."""
    before, after = ({item.name: item for item in fields} for fields in (theirs, mine))
    found = [f"{name} is missing" for name in before if name not in after]
    found += [f"{name} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if old.type != new.type:
            found.append(f"{name} is {new.type}, it was {old.type}")
        if old.required != new.required:
            words = ("optional", "required")
            found.append(f"{name} is {words[new.required]}, it was {words[old.required]}")
    if not found and list(before) != list(after):
        found.append(f"the order is {', '.join(after)}, it was {', '.join(before)}")
    return sorted(found)
