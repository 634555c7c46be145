"""Everything there is to see of many deployments at once: a fixed number of queries, however many.

All of one read is one consistent view of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from serinus import clock
from serinus.delivery import routing
from serinus.delivery.pace import Ahead, Facts, Seen, ahead, rates
from serinus.delivery.reconcile import WorkerView
from serinus.delivery.records import awaiting, deployments, evidence, looks, workers
from serinus.delivery.rollback import repository as back
from serinus.delivery.types import Deployment, Transition, Verdict
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.store import schema
from serinus.wire import Arm, Route, RoutingTable

LATEST = 6
"""Transitions that come with a status; all of them are a deployment's history."""

# Rates are taken over at least this long: shorter ones jump.
_RATE_SECONDS = 10.0
# The levels at which a challenger failed: of pairs the one where only it did.
_FAILED = {Measure.ERROR: 1, Measure.PAIR_ERROR: 2}
_MATURED = {Arm.SHADOW: Measure.PAIR_MATURED}
_COUNTED = {
    Arm.CHAMPION: Measure.ERROR,
    Arm.CHALLENGER: Measure.ERROR,
    Arm.SHADOW: Measure.PAIR_ERROR,
}


class Counts(msgspec.Struct, frozen=True):
    """Requests, failures and labels by arm, and what is in force at the gateways.

    ``share`` is the challenger's in the newest routing table, ``shares`` are those of all versions
    compared. ``told`` is how many labels and values came at all; ``delayed`` labels wait for an
    earlier request that has none yet, until ``delayed_until`` at the latest. ``rates`` are requests
    (pairs) a second of late.
    """

    requests: dict[str, int]
    failures: dict[str, int]
    labelled: dict[str, int]
    told: dict[str, int]
    share: float
    mirror: float
    revision: int
    workers: tuple[WorkerView, ...]
    delayed: int = 0
    delayed_until: datetime | None = None
    rates: dict[str, float] = {}
    shares: dict[str, float] = {}


class Setback(msgspec.Struct, frozen=True):
    """A rollback in short: what lost the traffic to what, why, and whether it helped."""

    id: str
    model: str
    taken_back: str
    to: str
    cause: str
    state: str
    actor: str
    reason: str
    started_at: datetime
    ended_at: datetime | None


class Status(msgspec.Struct, frozen=True):
    """One deployment with all that is known of it now; ``latest`` transitions are oldest first.

    ``dropped`` says of challengers of an experiment why they were taken out.
    """

    deployment: Deployment
    counts: Counts
    verdict: Verdict | None
    ahead: Ahead | None = None
    latest: tuple[Transition, ...] = ()
    retries: int = 0
    rollback: Setback | None = None
    dropped: dict[str, str] = {}


def newest(connection: Connection, limit: int, after: str | None) -> list[Deployment]:
    """Every model's newest deployment by the models' names, those after the name ``after``."""
    table = schema.deployments
    last = (
        select(func.max(table.c.id))
        .where(table.c.model > (after or ""))
        .group_by(table.c.model)
        .order_by(table.c.model)
        .limit(limit)
    )
    query = select(*deployments.COLUMNS).where(table.c.id.in_(last)).order_by(table.c.model)
    return [deployments.deployment_of(row) for row in connection.execute(query)]


def find(connection: Connection, ids: Iterable[str]) -> list[Deployment]:
    """Those of these deployments that there are, oldest first."""
    table = schema.deployments
    query = select(*deployments.COLUMNS).where(table.c.id.in_(tuple(ids))).order_by(table.c.id)
    return [deployments.deployment_of(row) for row in connection.execute(query)]


def read(
    connection: Connection, deployments: Sequence[Deployment], worker_seconds: float
) -> list[Status]:
    """The statuses of deployments, in their order.

    Args:
        connection: a reading transaction.
        deployments: of which.
        worker_seconds: a gateway worker silent for longer is taken for dead.
    """
    if not deployments:
        return []
    at = clock.now()
    ids = [item.id for item in deployments]
    known = evidence.some(connection, ids)
    looked = _looks(connection, ids, at - timedelta(seconds=_RATE_SECONDS))
    waiting = awaiting.delayed(connection, ids)
    latest, retries = _latest(connection, ids)
    setbacks = _setbacks(connection, deployments)
    dropped = _dropped(connection, deployments)
    reporting = workers.read(connection, at, worker_seconds)
    silent_since = None if reporting else workers.last_report(connection)
    table = routing.newest(connection)
    asked = back.asked_since(connection)
    found = []
    for item in deployments:
        seen = known[item.id]
        now, before, first = looked.get(item.id, (None, None, None))
        fresh = seen.total(Measure.STEP, level=item.step)
        # Time in which no version was asked is none of the step's.
        began = max(item.step_entered_at, asked.get(item.model, item.step_entered_at))
        timed = msgspec.structs.replace(item, step_entered_at=began)
        alone = asked.get(item.model)
        facts = Facts(timed, fresh, reporting, at, now, before, first, silent_since, alone, seen)
        counts = _counts(facts, seen, table, waiting.get(item.id))
        mirrored = item.step < len(item.plan.steps) and item.plan.steps[item.step].shadow
        rate = sum(number for arm, number in counts.rates.items() if (arm == "shadow") is mirrored)
        found.append(
            Status(
                deployment=item,
                counts=counts,
                verdict=now.verdict if now else None,
                ahead=ahead(facts, rate),
                latest=tuple(latest.get(item.id, ())),
                retries=retries.get(item.id, 0),
                rollback=setbacks.get(item.id),
                dropped=dropped.get(item.id, {}),
            )
        )
    return found


def _counts(
    facts: Facts,
    evidence: Evidence,
    table: RoutingTable | None,
    waiting: tuple[int, int] | None,
) -> Counts:
    deployment = facts.deployment
    route = table.routes.get(deployment.model) if table else None
    mine = route if route and route.deployment == deployment.id else None
    compared = (deployment.champion, *deployment.challengers)
    known = in_force(route) if route else {}
    shares = {version: known.get(version, 0.0) for version in compared if version}
    requests = {str(arm): evidence.total(kind, arm) for arm, kind in _COUNTED.items()}
    delayed, oldest = waiting or (0, None)
    window = timedelta(seconds=deployment.plan.label_window_seconds)
    return Counts(
        requests=requests,
        failures={
            str(arm): evidence.total(kind, arm, _FAILED[kind]) for arm, kind in _COUNTED.items()
        },
        labelled={
            str(arm): evidence.total(_MATURED.get(arm, Measure.MATURED), arm, 1) for arm in _COUNTED
        },
        told={
            name: evidence.total(Measure.TOLD, level=level)
            for level, name in enumerate(("labels", "values"))
        },
        share=shares.get(deployment.challenger, 0.0),
        mirror=mine.mirror if mine else 0.0,
        revision=table.revision if table else 0,
        workers=facts.workers,
        delayed=delayed,
        delayed_until=clock.from_epoch_us(oldest) + window if oldest and delayed else None,
        rates=rates(facts, requests),
        shares=shares,
    )


def in_force(route: Route) -> dict[str, float]:
    """By version, the share of a model's requests that it answers."""
    found = {variant.target.version: variant.share for variant in route.others}
    if route.challenger is not None:
        found[route.challenger.version] = route.share
    return found | {route.champion.version: 1.0 - sum(found.values())}


def _dropped(
    connection: Connection, deployments: Iterable[Deployment]
) -> dict[str, dict[str, str]]:
    """Of each experiment: the challengers that were taken out, and why."""
    tests = {item.id: item for item in deployments if item.plan.experiment}
    if not tests:
        return {}
    table = schema.experiments
    rows = connection.execute(
        select(table.c.deployment, table.c.dropped).where(table.c.deployment.in_(tuple(tests)))
    )
    return {
        row.deployment: {
            tests[row.deployment].challengers[int(place)]: why for place, why in row.dropped.items()
        }
        for row in rows
    }


def _looks(
    connection: Connection, ids: Sequence[str], before: datetime
) -> dict[str, tuple[Seen | None, Seen | None, Seen | None]]:
    """Of each: the newest look, the newest before a moment, and the first of the present step."""
    table, deployments = schema.verdicts, schema.deployments
    mine = select(table.c.id).where(table.c.deployment == deployments.c.id)
    newest_ = mine.order_by(table.c.id.desc()).limit(1)
    places = (
        newest_.scalar_subquery(),
        newest_.where(table.c.at <= before).scalar_subquery(),
        mine.where(table.c.step == deployments.c.step)
        .order_by(table.c.id)
        .limit(1)
        .scalar_subquery(),
    )
    chosen = connection.execute(
        select(deployments.c.id, *places).where(deployments.c.id.in_(ids))
    ).all()
    wanted = {number for row in chosen for number in row[1:] if number is not None}
    rows = connection.execute(select(table).where(table.c.id.in_(wanted)))
    found = {row.id: Seen(row.at, looks.verdict_of(row)) for row in rows}
    return {row[0]: (found.get(row[1]), found.get(row[2]), found.get(row[3])) for row in chosen}


def _latest(
    connection: Connection, ids: Sequence[str]
) -> tuple[dict[str, list[Transition]], dict[str, int]]:
    """Of each: its newest transitions, oldest first, and how often it was begun again."""
    table = schema.deployment_history
    place = func.row_number().over(partition_by=table.c.deployment, order_by=table.c.id.desc())
    numbered = select(table, place.label("place")).where(table.c.deployment.in_(ids)).subquery()
    rows = connection.execute(
        select(numbered).where(numbered.c.place <= LATEST).order_by(numbered.c.id)
    )
    found: dict[str, list[Transition]] = {}
    for row in rows:
        found.setdefault(row.deployment, []).append(deployments.transition_of(row))
    begun = connection.execute(
        select(table.c.deployment, func.count())
        .where(
            table.c.deployment.in_(ids), table.c.to_phase == "pending",
            table.c.from_phase != "pending",
        )
        .group_by(table.c.deployment)
    )  # fmt: skip
    return found, {row[0]: row[1] for row in begun}


def _setbacks(connection: Connection, deployments: Iterable[Deployment]) -> dict[str, Setback]:
    """Of each: the rollback that ended it; of a live one the model's last, if there was one."""
    table = schema.rollbacks
    ended = {item.id: item.id for item in deployments if not item.live}
    live = {item.model: item.id for item in deployments if item.live}
    found: dict[str, Setback] = {}
    for column, wanted in ((table.c.deployment, ended), (table.c.model, live)):
        if wanted:
            last = select(func.max(table.c.id)).where(column.in_(wanted)).group_by(column)
            for row in connection.execute(select(table).where(table.c.id.in_(last))):
                found[wanted[row._mapping[column.name]]] = _setback(row)
    return found


def _setback(row: Row[Any]) -> Setback:
    return Setback(**{name: row._mapping[name] for name in _SETBACK})


_SETBACK = tuple(field.name for field in msgspec.structs.fields(Setback))
