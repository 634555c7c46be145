"""The live deployments and where their evidence stands: asked for in one query, decoded once.

A plan is thousands of bytes of JSON and never changes, and a pass has to look at every live
deployment. So a row is read whole only when what can change in it has changed.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any, NamedTuple, TypeAlias

import structlog
from sqlalchemy import Connection, String, select, type_coerce

from serinus.delivery.records import deployments
from serinus.delivery.types import Deployment
from serinus.store import schema

_DEPLOYMENTS, _EVIDENCE = schema.deployments, schema.evidence
# Times are only compared with themselves, so nobody need read them.
_STAMP = (
    type_coerce(_DEPLOYMENTS.c.updated_at, String),
    _DEPLOYMENTS.c.phase,
    _DEPLOYMENTS.c.step,
    _DEPLOYMENTS.c.verdict,
)
_LOOK = (
    select(
        _DEPLOYMENTS.c.id,
        _EVIDENCE.c.fold,
        type_coerce(_EVIDENCE.c.updated_at, String),
        *_STAMP,
    )
    .join_from(_DEPLOYMENTS, _EVIDENCE, _EVIDENCE.c.deployment == _DEPLOYMENTS.c.id)
    .where(_DEPLOYMENTS.c.live_model.is_not(None))
    .order_by(_DEPLOYMENTS.c.created_at, _DEPLOYMENTS.c.id)
)
_log = structlog.get_logger(__name__)
_Stamp: TypeAlias = tuple[Any, ...]


class Standing(NamedTuple):
    """A live deployment, the last fold of its evidence, and when that was written.

    ``written`` may only be compared with another one.
    """

    deployment: Deployment
    fold: int
    written: Any


class Roster:
    """Remembers the live deployments as they were at the last look. For one thread.

    Attributes:
        unreadable: live ones that stand still, since what is stored of them cannot be read.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Stamp, Deployment]] = {}
        self.unreadable: dict[str, Deployment] = {}

    @property
    def known(self) -> Set[str]:
        """The ids of those that were live and could be read at the last look."""
        return self._known.keys()

    def read(self, connection: Connection) -> list[Standing]:
        """What is live now and can be read, oldest first."""
        rows = connection.execute(_LOOK).all()
        stamps = {row[0]: tuple(row[3:]) for row in rows}
        known = {
            identity: item
            for identity, item in self._known.items()
            if stamps.get(identity) == item[0]
        }
        new = [identity for identity in stamps if identity not in known]
        unreadable: dict[str, Deployment] = {}
        for deployment in deployments.some(connection, new):
            if deployment.unreadable:
                unreadable[deployment.id] = deployment
            else:
                known[deployment.id] = (stamps[deployment.id], deployment)
        for gone in unreadable.keys() - self.unreadable.keys():
            _log.error("a deployment stands still", id=gone, why=unreadable[gone].reason)
        self._known, self.unreadable = known, unreadable
        return [Standing(known[row[0]][1], row[1], row[2]) for row in rows if row[0] in known]

    def everyone(self, connection: Connection) -> list[Deployment]:
        """All that is live now, be it readable or not: what a routing table is made of."""
        readable = [standing.deployment for standing in self.read(connection)]
        return readable + list(self.unreadable.values())
