"""The routing table: composed purely from who is champion and what is live, published as a file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Connection, insert, select

from serinus import clock
from serinus.delivery.types import Deployment, Phase
from serinus.errors import Unavailable
from serinus.store import schema
from serinus.store.engine import exclusive
from serinus.wire import Route, RoutingTable, Target

_LOCK = 5377


def compose(
    champions: Mapping[str, Target], live: Sequence[tuple[Deployment, Target]]
) -> dict[str, Route]:
    """Who serves what, by model.

    Args:
        champions: by model, the version that holds Production.
        live: each live deployment with the version that is not (or not yet, or no longer)
            champion: the challenger, or in the soak the former champion, which is kept warm.
    """
    routes = {model: Route(model, champion) for model, champion in champions.items()}
    for deployment, other in live:
        champion = champions.get(deployment.model)
        if champion is None:
            # A first version has nobody to be compared with: to load it is to serve it.
            routes[deployment.model] = Route(deployment.model, other, deployment=deployment.id)
            continue
        share = mirror = 0.0
        if deployment.phase in (Phase.RUNNING, Phase.PAUSED):
            step = deployment.plan.steps[deployment.step]
            share, mirror = step.share, step.mirror
        routes[deployment.model] = Route(
            model=deployment.model,
            champion=champion,
            challenger=None if other.version == champion.version else other,
            share=share,
            mirror=mirror,
            unit=deployment.plan.unit,
            salt=deployment.plan.salt,
            deployment=deployment.id,
            step=deployment.step,
        )
    return dict(sorted(routes.items()))


def newest(connection: Connection) -> RoutingTable | None:
    """The newest revision in the store; None before the first."""
    table = schema.routing_revisions
    row = connection.execute(
        select(table.c.revision, table.c.routes).order_by(table.c.revision.desc()).limit(1)
    ).first()
    if row is None:
        return None
    return RoutingTable(row.revision, msgspec.convert(row.routes, dict[str, Route]))


def revise(
    connection: Connection, routes: dict[str, Route], reason: str, *, least: int = 1
) -> RoutingTable:
    """The newest revision if it says just this, else a new one, in the caller's transaction.

    ``least`` is the lowest number that will do: the gateways may know higher ones than a store
    that was restored or replaced.
    """
    exclusive(connection, _LOCK)
    present = newest(connection)
    if present is not None and present.routes == routes and present.revision >= least:
        return present
    revision = max(least, present.revision + 1 if present else 1)
    connection.execute(
        insert(schema.routing_revisions).values(
            revision=revision,
            at=clock.now(),
            routes=msgspec.to_builtins(routes),
            reason=reason,
        )
    )
    return RoutingTable(revision, routes)


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
        if self._seen == (table.revision, self._signature()):
            return False
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                replaced = self._present_revision() < table.revision
                if replaced:
                    self._replace(table)
                self._seen = (table.revision, self._signature())
        except OSError as error:
            raise Unavailable(
                f"the routing table cannot be written ({error.strerror})",
                where=str(self._path),
                remedy="Make the state folder writable; gateways keep the last table until then.",
            ) from error
        return replaced

    def ahead_of(self, revision: int) -> int:
        """The published revision if it is higher than ``revision``, else 0."""
        if self._seen == (revision, self._signature()):
            return 0
        present = self._present_revision()
        return present if present > revision else 0

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
