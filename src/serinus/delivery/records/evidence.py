"""The evidence of deployments in the store, with the entities that were counted in it.

Of an experiment each comparison has its own, under the comparison's id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from serinus.delivery.types import Deployment
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import watch as watching
from serinus.delivery.verdicts.evidence import Evidence
from serinus.delivery.verdicts.watch import Watch
from serinus.store import schema
from serinus.store.chunks import chunks

_EVIDENCE, _UNITS = schema.evidence, schema.evidence_units


def begin(connection: Connection, deployment: Deployment) -> None:
    """Make room for the evidence of a deployment, of an experiment for that of each challenger."""
    at, empty = deployment.created_at, ev.EMPTY.encode()
    rows = [
        {"deployment": identity, "summary": empty, "updated_at": at}
        for identity in deployment.comparisons.values()
    ]
    connection.execute(insert(_EVIDENCE), rows)


def get(connection: Connection, deployment_id: str) -> Evidence:
    """The evidence of a deployment so far."""
    return some(connection, [deployment_id])[deployment_id]


def some(connection: Connection, ids: Sequence[str]) -> dict[str, Evidence]:
    """The evidence of many deployments so far."""
    found = dict.fromkeys(ids, ev.EMPTY)
    for chunk in chunks(ids):
        query = select(_EVIDENCE.c.deployment, _EVIDENCE.c.summary).where(
            _EVIDENCE.c.deployment.in_(chunk)
        )
        found.update((row.deployment, ev.decode(row.summary)) for row in connection.execute(query))
    return found


def watches(connection: Connection, ids: Sequence[str]) -> dict[str, Watch]:
    """The champions' latencies of late, as each deployment has seen them."""
    found = dict.fromkeys(ids, watching.UNSEEN)
    for chunk in chunks(ids):
        query = select(_EVIDENCE.c.deployment, _EVIDENCE.c.watch).where(
            _EVIDENCE.c.deployment.in_(chunk), _EVIDENCE.c.watch.is_not(None)
        )
        rows = connection.execute(query)
        found.update((row.deployment, watching.decode(row.watch)) for row in rows)
    return found


def add(connection: Connection, added: Sequence[tuple[str, Evidence, Watch]], at: datetime) -> None:
    """Add to deployments' evidence within the transaction that also saves the offsets."""
    if not added:
        return
    before = some(connection, [identity for identity, more, _ in added if more.tables])
    rows = []
    for identity, more, latencies in added:
        row = {"identity": identity, "watched": latencies.encode(), "at": at}
        if more.tables:
            row["total"] = (before[identity] + more).encode()
        rows.append(row)
    here = _EVIDENCE.c.deployment == bindparam("identity")
    changes: dict[str, Any] = {"watch": bindparam("watched"), "updated_at": bindparam("at")}
    grown = [row for row in rows if "total" in row]
    if grown:
        connection.execute(
            update(_EVIDENCE).where(here).values(summary=bindparam("total"), **changes), grown
        )
    watched = [row for row in rows if "total" not in row]
    if watched:
        connection.execute(update(_EVIDENCE).where(here).values(**changes), watched)


def folded(connection: Connection, deployment_id: str) -> int:
    """The number of the last batch that changed a deployment's evidence; 0 before the first."""
    query = select(_EVIDENCE.c.fold).where(_EVIDENCE.c.deployment == deployment_id)
    return connection.execute(query).scalar() or 0


def units(connection: Connection, deployment: str, wanted: Collection[int]) -> dict[int, bool]:
    """Those of these entities that were met before, and whether they have failed."""
    known: dict[int, bool] = {}
    for chunk in chunks(sorted(wanted)):
        rows = connection.execute(
            select(_UNITS.c.unit, _UNITS.c.failed).where(
                _UNITS.c.deployment == deployment, _UNITS.c.unit.in_(chunk)
            )
        )
        known.update((row.unit, row.failed) for row in rows)
    return known


def add_units(
    connection: Connection, deployment: str, met: Mapping[int, bool], known: Mapping[int, bool]
) -> None:
    """Keep the entities of a batch, and whether they failed in it.

    Args:
        connection: the transaction.
        deployment: who met them.
        met: in this batch.
        known: those of them that are stored already, see :func:`units`.
    """
    fresh = [
        {"deployment": deployment, "unit": unit, "failed": failed}
        for unit, failed in met.items()
        if unit not in known
    ]
    if fresh:
        connection.execute(insert(_UNITS), fresh)
    failed = [unit for unit, has_failed in met.items() if unit in known and has_failed]
    for chunk in chunks(failed):
        connection.execute(
            update(_UNITS)
            .where(_UNITS.c.deployment == deployment, _UNITS.c.unit.in_(chunk))
            .values(failed=True)
        )
