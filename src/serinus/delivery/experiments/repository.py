"""Experiments in the store: what was measured, who shares the traffic, and what still waits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import (
    Connection,
    String,
    delete,
    insert,
    select,
    text,
    type_coerce,
    update,
)

from serinus.delivery.experiments import sums as su
from serinus.delivery.experiments.fold import Draw, Settled, UnitSums
from serinus.delivery.experiments.sums import Shares, Sums
from serinus.delivery.experiments.types import Allocation, Setup
from serinus.delivery.records import awaiting
from serinus.delivery.types import Deployment
from serinus.store import schema
from serinus.store.chunks import chunks
from serinus.wire import Answer

KIND = "experiment"
_STATE = schema.experiments
_UNITS = schema.experiment_units
_pack = msgspec.msgpack.Encoder().encode
_DRAW = msgspec.msgpack.Decoder(Draw)
_GROUPS = msgspec.msgpack.Decoder(tuple[int, ...])
Stamp: TypeAlias = tuple[Any, tuple[int, ...]]
"""When an experiment was written, and the folds of its comparisons; may only be compared."""
_KEEP = text(
    "INSERT INTO experiment_units (deployment, unit, arm, stretch, y, n, x, groups)"
    " VALUES (:deployment, :unit, :arm, :stretch, :y, :n, :x, :groups)"
    " ON CONFLICT (deployment, unit) DO UPDATE SET"
    " stretch = excluded.stretch, y = excluded.y, n = excluded.n"
)


@dataclass
class State:
    """An experiment as it stands.

    Attributes:
        setup: fixed at its beginning.
        shares: of each challenger, in force now.
        dropped: by place from 0, why a challenger was taken out.
        sums: what was measured.
        allocations: how traffic was allocated by what was learnt, oldest first.
    """

    setup: Setup
    shares: Shares
    dropped: dict[int, str]
    sums: Sums
    allocations: tuple[Allocation, ...] = ()

    @property
    def allocated(self) -> int:
        """The look by which traffic was allocated last; 0 before."""
        return self.allocations[-1].look if self.allocations else 0


def load(connection: Connection, deployment: str) -> State | None:
    """The state of an experiment; None before its first event."""
    row = connection.execute(select(_STATE).where(_STATE.c.deployment == deployment)).first()
    if row is None:
        return None
    return State(
        setup=msgspec.convert(row.setup, Setup),
        shares=tuple(row.shares),
        dropped={int(place): why for place, why in row.dropped.items()},
        sums=su.decode(row.sums),
        allocations=msgspec.convert(row.allocations, tuple[Allocation, ...]),
    )


def save(connection: Connection, deployment: str, state: State, at: datetime) -> None:
    """Write a state down, new or not."""
    values: dict[str, Any] = {
        "setup": msgspec.to_builtins(state.setup),
        "shares": list(state.shares),
        "dropped": {str(place): why for place, why in state.dropped.items()},
        "sums": state.sums.encode(),
        "allocations": msgspec.to_builtins(state.allocations),
        "updated_at": at,
    }
    here = _STATE.c.deployment == deployment
    if connection.execute(update(_STATE).where(here).values(**values)).rowcount == 0:
        connection.execute(insert(_STATE).values(deployment=deployment, **values))


def shares(connection: Connection, deployments: Collection[str]) -> dict[str, Shares]:
    """By deployment, the shares of the challengers in force; without those not yet begun."""
    rows = connection.execute(
        select(_STATE.c.deployment, _STATE.c.shares).where(_STATE.c.deployment.in_(deployments))
    )
    return {row.deployment: tuple(row.shares) for row in rows}


def stamps(connection: Connection, trials: Sequence[Deployment]) -> dict[str, Stamp]:
    """By experiment that has begun, how far it and each of its comparisons is."""
    whose = {part: item.id for item in trials for part in item.comparisons.values()}
    folds: dict[str, list[int]] = {}
    written: dict[str, Any] = {}
    for chunk in chunks(whose):
        evidence = schema.evidence
        rows = connection.execute(
            select(evidence.c.deployment, evidence.c.fold)
            .where(evidence.c.deployment.in_(chunk))
            .order_by(evidence.c.deployment)
        )
        for part, fold in rows:
            folds.setdefault(whose[part], []).append(fold)
        at = type_coerce(_STATE.c.updated_at, String)
        query = select(_STATE.c.deployment, at).where(_STATE.c.deployment.in_(chunk))
        written.update((row[0], row[1]) for row in connection.execute(query))
    return {key: (at, tuple(folds.get(key, ()))) for key, at in written.items()}


# ------------------------------------------------------------------ entities


def units(connection: Connection, deployment: str, wanted: Collection[int]) -> dict[int, UnitSums]:
    """Those of these entities that were met before."""
    found: dict[int, UnitSums] = {}
    for chunk in chunks(sorted(wanted)):
        rows = connection.execute(
            select(_UNITS).where(_UNITS.c.deployment == deployment, _UNITS.c.unit.in_(chunk))
        )
        for row in rows:
            groups = _GROUPS.decode(row.groups)
            found[row.unit] = UnitSums(row.arm, row.stretch, row.y, row.n, row.x, groups)
    return found


def save_units(connection: Connection, deployment: str, changed: Mapping[int, UnitSums]) -> None:
    """Write down entities as they are now."""
    rows = [
        {
            "deployment": deployment,
            "unit": unit,
            "arm": item.arm,
            "stretch": item.stretch,
            "y": item.y,
            "n": item.n,
            "x": item.x,
            "groups": _pack(item.groups),
        }
        for unit, item in changed.items()
    ]
    if rows:
        connection.execute(_KEEP, rows)


def forget(connection: Connection, deployment: str) -> None:
    """Let go of what only counting needs: entities, and requests that still wait."""
    connection.execute(delete(_UNITS).where(_UNITS.c.deployment == deployment))
    awaiting.forget(connection, [deployment], KIND)


# ------------------------------------------------------------------ waiting


def wait(
    connection: Connection,
    deployment: str,
    asked: Mapping[bytes, tuple[int, Draw]],
    told: Mapping[bytes, tuple[int, Answer]],
) -> None:
    """Remember requests until they are settled, and what came of some.

    Args:
        connection: the transaction.
        deployment: whose.
        asked: by prediction, when it was made and its draw.
        told: by prediction, when it was made and what came of it.
    """
    awaiting.add(connection, deployment, KIND, asked, told)


def settled(connection: Connection, deployment: str, given_up: int) -> Iterator[list[Settled]]:
    """By the page, the oldest requests that wait no longer; each page is deleted once it is read.

    Args:
        connection: the transaction.
        deployment: whose.
        given_up: nothing more is waited for of requests predicted until then.
    """
    first = awaiting.first(connection, deployment, KIND, given_up)
    for page in awaiting.settled(connection, deployment, KIND, first):
        yield [
            Settled(row.predicted_at, _DRAW.decode(row.facts), awaiting.answer_of(row.outcome))
            for row in page
        ]


def oldest(connection: Connection, deployment: str) -> int | None:
    """When the oldest request that still waits was predicted; None if none waits."""
    first = awaiting.first(connection, deployment, KIND)
    return first[0] if first else None


# ------------------------------------------------------------------ steering


def save_steering(connection: Connection, deployment: str, state: State, at: datetime) -> None:
    """Write down who shares the traffic, and nothing that counting may have changed meanwhile."""
    connection.execute(
        update(_STATE)
        .where(_STATE.c.deployment == deployment)
        .values(
            shares=list(state.shares),
            dropped={str(place): why for place, why in state.dropped.items()},
            allocations=msgspec.to_builtins(state.allocations),
            updated_at=at,
        )
    )


def save_sums(connection: Connection, deployment: str, sums: Sums, at: datetime) -> None:
    """Write down what was counted, and nothing that steering may have changed meanwhile."""
    connection.execute(
        update(_STATE)
        .where(_STATE.c.deployment == deployment)
        .values(sums=sums.encode(), updated_at=at)
    )


def swap_evidence(connection: Connection, deployment: str, place: int, before: int) -> None:
    """Let a further challenger's evidence be the deployment's own, and the former one's a further.

    Args:
        connection: the transaction.
        deployment: the experiment.
        place: of the challenger that takes the lead, from 0.
        before: of the one that had it.
    """
    aside = f"{deployment}+aside"
    moves = (
        (deployment, aside),
        (f"{deployment}+{place}", deployment),
        (aside, f"{deployment}+{before}"),
    )
    for old, new in moves:
        for table in (schema.evidence, schema.evidence_units):
            connection.execute(
                update(table).where(table.c.deployment == old).values(deployment=new)
            )
        awaiting.rename(connection, old, new, all_but=KIND)
