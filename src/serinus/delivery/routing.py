"""The routing table: composed purely from who is champion and what is live, published as a file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, insert, select

from serinus import clock
from serinus.delivery.types import Deployment, Phase
from serinus.errors import Unavailable
from serinus.store import schema
from serinus.wire import Answer, BreakerRules, Route, RoutingTable, Target, Variant


@dataclass(frozen=True)
class Split:
    """The traffic of an experiment: the first challenger's share, and the further challengers."""

    share: float
    others: tuple[Variant, ...] = ()


class Default(NamedTuple):
    """What is answered where no version can; until ``alone_until`` (epoch µs), everywhere."""

    answer: Answer
    alone_until: int = 0


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a route may hold beside a champion and a live deployment; by model, unless it is said.

    Attributes:
        staging: the version that entered Staging last.
        warm: versions that a switch is to find loaded.
        defaults: what is answered where no version can.
        splits: by deployment, the traffic of those with several challengers.
        breakers: the rules of models whose type has its own; a live plan's stand above them.
    """

    staging: Mapping[str, Target] = field(default_factory=dict)
    warm: Mapping[str, Sequence[Target]] = field(default_factory=dict)
    defaults: Mapping[str, Default] = field(default_factory=dict)
    splits: Mapping[str, Split] = field(default_factory=dict)
    breakers: Mapping[str, BreakerRules] = field(default_factory=dict)


_NOTHING = Beside()


def compose(
    champions: Mapping[str, Target],
    live: Sequence[tuple[Deployment, Target]],
    beside: Beside = _NOTHING,
) -> dict[str, Route]:
    """Who serves what, by model.

    Args:
        champions: by model, the version that holds Production.
        live: each live deployment with the version that is not (or not yet, or no longer)
            champion: the challenger, or in the soak the former champion, which scores what the new
            one answers and stands in for it.
        beside: what else there is.
    """
    routes = {model: Route(model, champion) for model, champion in champions.items()}
    for deployment, other in live:
        champion = champions.get(deployment.model)
        if champion is None:
            # A first version has nobody to be compared with: to load it is to serve it.
            routes[deployment.model] = Route(
                deployment.model, other, deployment=deployment.id, breaker=deployment.plan.breaker
            )
        else:
            split = beside.splits.get(deployment.id)
            routes[deployment.model] = _of_deployment(deployment, champion, other, split)
    return {model: _with(routes[model], beside) for model in sorted(routes)}


def unserved(routes: Mapping[str, Route], beside: Beside) -> dict[str, Target]:
    """The versions in Staging of models that have no route: nothing of them is in Production."""
    return {model: beside.staging[model] for model in sorted(beside.staging) if model not in routes}


def split(targets: Sequence[Target], reserved: Sequence[float], shares: Sequence[float]) -> Split:
    """The traffic of several challengers, laid out so that no change of one moves another's keys.

    Args:
        targets: the challengers behind the first, in the order of the plan.
        reserved: the largest share that each challenger will ever have, the first one's included;
            together at most 1. Each has its place for good.
        shares: what each has now; 0 for one that was dropped, whose keys go to the champion.
    """
    starts = accumulate(reserved, initial=0.0)
    places = list(zip(starts, shares, strict=False))[1:]
    others = (Variant(target, *place) for target, place in zip(targets, places, strict=True))
    return Split(shares[0], tuple(others))


def _of_deployment(
    deployment: Deployment, champion: Target, other: Target, split: Split | None
) -> Route:
    plan = deployment.plan
    challenger = None if other.version == champion.version else other
    soaking = deployment.phase is Phase.SOAKING and challenger is not None
    share = mirror = clone = 0.0
    others: tuple[Variant, ...] = ()
    if deployment.phase in (Phase.RUNNING, Phase.PAUSED):
        step = plan.steps[deployment.step]
        share, mirror = step.share, step.mirror
        clone = plan.clone if mirror else 0.0
        if split is not None:
            share, others = split.share, split.others
    elif soaking:
        mirror = plan.soak_mirror
        # At full load only what is judged is worth a third answer.
        clone = plan.clone if mirror and plan.has("disagreement") else 0.0
    return Route(
        model=deployment.model,
        champion=champion,
        challenger=challenger,
        share=share,
        mirror=mirror,
        unit=plan.unit,
        salt=plan.salt,
        deployment=deployment.id,
        step=deployment.step,
        clone=clone,
        others=others,
        breaker=plan.breaker,
        stands_in=soaking,
    )


def _with(route: Route, beside: Beside) -> Route:
    """The route with what belongs to its model whatever is under way."""
    model = route.model
    served = {route.champion, route.challenger, *(variant.target for variant in route.others)}
    staging = beside.staging.get(model)
    # Who was dropped from an experiment is in Staging still, and is asked by nobody any more.
    if any(variant.target == staging and variant.share == 0.0 for variant in _asked(route)):
        staging = None
    default = beside.defaults.get(model)
    more = {
        "staging": staging,
        "default": None if default is None else default.answer,
        "alone_until": None if default is None else default.alone_until or None,
        "breaker": None if route.deployment else beside.breakers.get(model),
        "warm": tuple(target for target in beside.warm.get(model, ()) if target not in served),
    }
    given = {name: value for name, value in more.items() if value not in (None, ())}
    return msgspec.structs.replace(route, **given) if given else route


def _asked(route: Route) -> tuple[Variant, ...]:
    """The challengers of an experiment; none where there is but one."""
    if route.challenger is None or not route.others:
        return ()
    return (Variant(route.challenger, 0.0, route.share), *route.others)


def newest_revision(connection: Connection) -> int | None:
    """The number of the newest revision; None before the first."""
    return connection.execute(select(func.max(schema.routing_revisions.c.revision))).scalar()


def newest(connection: Connection) -> RoutingTable | None:
    """The newest revision in the store; None before the first."""
    table = schema.routing_revisions
    row = connection.execute(
        select(table.c.revision, table.c.routes, table.c.staging)
        .order_by(table.c.revision.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return RoutingTable(
        row.revision,
        msgspec.convert(row.routes, dict[str, Route]),
        # A revision of an earlier version of Serinus has none.
        msgspec.convert(row.staging or {}, dict[str, Target]),
    )


def revise(
    connection: Connection,
    routes: dict[str, Route],
    reason: str,
    *,
    staging: Mapping[str, Target] | None = None,
    least: int = 1,
) -> RoutingTable:
    """The newest revision if it says just this, else a new one, in the caller's turn.

    The routes must have been composed in the same turn: what somebody else changed meanwhile would
    be undone. ``staging`` are the versions in Staging of models without a route.

    ``least`` is the lowest number that will do: the gateways may know higher ones than a store
    that was restored or replaced.
    """
    present, alone = newest(connection), dict(staging or {})
    said = present is not None and (present.routes, present.staging) == (routes, alone)
    if present is not None and said and present.revision >= least:
        return present
    revision = max(least, present.revision + 1 if present else 1)
    connection.execute(
        insert(schema.routing_revisions).values(
            revision=revision,
            at=clock.now(),
            routes=msgspec.to_builtins(routes),
            staging=msgspec.to_builtins(alone),
            reason=reason,
        )
    )
    return RoutingTable(revision, routes, alone)


class Publisher:
    """Puts the newest table where this machine's gateways look for it.

    Several processes may publish; a lock beside the file sees to it that an older revision never
    replaces a newer one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, tuple[int, int]] | None = None

    def publish(self, table: RoutingTable) -> bool:
        """Replace the file atomically if it is older; whether it was replaced.

        Raises:
            Unavailable: the folder cannot be written; the gateways go on with the last table.
        """
        if self.has(table.revision):
            return False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                present = self._present_revision()
                replaced = present < table.revision
                if replaced:
                    self._replace(table)
                self._seen = (max(present, table.revision), self._signature())
        except OSError as error:
            raise Unavailable(
                f"the routing table cannot be written ({error.strerror})",
                where=str(self._path),
                remedy="Make the state folder writable; gateways keep the last table until then.",
            ) from error
        return replaced

    def has(self, revision: int) -> bool:
        """Whether the file, as this publisher saw it last, holds ``revision`` or a higher one."""
        known = self._known()
        return known is not None and known >= revision

    def ahead_of(self, revision: int) -> int:
        """The published revision if it is higher than ``revision``, else 0."""
        known = self._known()
        try:
            present = self._present_revision() if known is None else known
        except OSError:
            return 0  # To publish says what is wrong.
        return present if present > revision else 0

    def _known(self) -> int | None:
        """The published revision, where the file is still the one that was seen last."""
        seen = self._seen
        return None if seen is None or seen[1] != self._signature() else seen[0]

    def _replace(self, table: RoutingTable) -> None:
        draft = self._path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(table))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)

    def _present_revision(self) -> int:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=RoutingTable).revision
        except (FileNotFoundError, msgspec.DecodeError):
            return -1

    def _signature(self) -> tuple[int, int]:
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return (0, 0)
        return (status.st_ino, status.st_mtime_ns)
