"""One look at all deployments for everybody who watches them.

However many watch, the store is asked at most once a tick: what changed is read, shaped and encoded
once, and each watcher gets the same bytes. A watcher's position is a number: what has a higher one
is new to it, and of each deployment only the newest state is kept. So one that reads slowly costs
nothing and misses nothing that still holds.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, select

from serinus import clock
from serinus.app import views
from serinus.client.types import step_name
from serinus.client.watching import Glance
from serinus.delivery import routing, statuses
from serinus.delivery.records import workers
from serinus.delivery.types import Plan
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import RoutingTable

TICK_SECONDS = 0.5
# Rates and forecasts change also while nothing comes.
_RENEW_SECONDS = 5.0
# Deployments that ended are kept for those who come back after a while away.
_MOST_ENDED = 1_000


@dataclass(frozen=True)
class Sight:
    """The newest state of one deployment: which change it is, and its JSON."""

    number: int
    model: str
    live: bool
    data: bytes


@dataclass(frozen=True)
class _Laid:
    """What a plan says of a line: its steps in words, and who is compared."""

    steps: tuple[str, ...]
    challengers: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Built:
    """What a status was made of, and when."""

    marks: tuple[object, ...]
    at: float


class Lookout:
    """The present state of everything that is watched.

    Args:
        engine: the store.
        worker_seconds: a gateway worker silent for longer is taken for dead.
    """

    def __init__(self, engine: Engine, worker_seconds: float) -> None:
        self._engine = engine
        self._worker_seconds = worker_seconds
        self._turn = asyncio.Lock()
        self._looking = threading.Lock()
        self._looked = -1e9
        self._number = 0
        self._watched: Counter[str] = Counter()
        self._everything = 0
        self._statuses: dict[str, Sight] = {}
        self._built: dict[str, _Built] = {}
        self._glances: dict[str, Sight] = {}
        self._plans: dict[str, _Laid] = {}
        self._table = RoutingTable(0, {})
        self.run = secrets.token_hex(4)
        """Names this process: numbers of another one mean nothing here."""

    @contextmanager
    def watching(self, deployment: str | None) -> Iterator[None]:
        """Keep a deployment's status in sight while inside; None: all deployments in a line."""
        if deployment is None:
            self._everything += 1
        else:
            self._watched[deployment] += 1
        # Who comes shall not wait for the next tick, nor see what was before.
        self._looked = -1e9
        try:
            yield
        finally:
            if deployment is None:
                self._everything -= 1
            else:
                self._watched -= Counter((deployment,))

    async def fresh(self) -> None:
        """Have looked within this tick; whoever comes first looks for all.

        Raises:
            SQLAlchemyError, SerinusError: the store cannot be read now.
        """
        async with self._turn:
            if clock.monotonic() - self._looked >= TICK_SECONDS / 2:
                await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read what changed since the last look; one thread at a time."""
        with self._looking:
            if clock.monotonic() - self._looked < TICK_SECONDS / 2:
                return
            began = clock.monotonic()
            with reading(self._engine) as connection:
                if self._everything:
                    self._look_at_all(connection)
                if self._watched:
                    self._look_at_watched(connection)
            self._forget()
            self._looked = began

    def status(self, deployment: str, after: int = 0) -> Sight | None:
        """The newest status of a watched deployment, if it changed after that number."""
        sight = self._statuses.get(deployment)
        return sight if sight is not None and sight.number > after else None

    def glances(self, after: int = 0, model: str | None = None) -> list[Sight]:
        """All deployments in a line that changed after that number, in the order of changes."""
        found = [
            sight
            for sight in tuple(self._glances.values())
            if sight.number > after and model in (None, sight.model) and (sight.live or after)
        ]
        return sorted(found, key=lambda sight: sight.number)

    # -------------------------------------------------------------- statuses

    def _look_at_watched(self, connection: Connection) -> None:
        table, evidence = schema.deployments, schema.evidence
        query = (
            select(table.c.id, table.c.updated_at, evidence.c.updated_at, evidence.c.fold)
            .join_from(table, evidence, table.c.id == evidence.c.deployment, isouter=True)
            .where(table.c.id.in_(tuple(self._watched)))
        )
        reporting = workers.read(connection, clock.now(), self._worker_seconds)
        newest = routing.newest(connection)
        around = (newest.revision if newest else 0, reporting)
        now = clock.monotonic()
        marks = {row[0]: (*row[1:], *around) for row in connection.execute(query)}
        changed = [name for name in marks if self._stale(name, marks[name], now)]
        found = statuses.find(connection, changed)
        for status in statuses.read(connection, found, self._worker_seconds):
            item = status.deployment
            data = msgspec.json.encode(views.status(status))
            self._built[item.id] = _Built(marks[item.id], now)
            self._put(self._statuses, item.id, item.model, live=item.live, data=data)

    def _stale(self, name: str, marks: tuple[object, ...], now: float) -> bool:
        built = self._built.get(name)
        return built is None or built.marks != marks or now - built.at >= _RENEW_SECONDS

    # -------------------------------------------------------------- all in a line

    def _look_at_all(self, connection: Connection) -> None:
        table = schema.deployments
        rows = list(_lines(connection, table.c.live_model.is_not(None)))
        here = {row.id for row in rows}
        gone = [name for name, sight in self._glances.items() if sight.live and name not in here]
        if gone:
            rows += _lines(connection, table.c.id.in_(gone))
        self._learn_plans(connection, here.union(gone) - set(self._plans))
        if routing.newest_revision(connection) != self._table.revision:
            self._table = routing.newest(connection) or self._table
        several = {row.id for row in rows if len(self._plans[row.id].challengers) > 1}
        dropped = _dropped(connection, several)
        for row in rows:
            plan = self._plans[row.id]
            told = dropped.get(row.id, {})
            glance = _glance(
                row,
                steps=plan.steps,
                shares=self._shares(row, plan),
                dropped={plan.challengers[int(place)]: why for place, why in told.items()},
            )
            data = msgspec.json.encode(glance)
            live = row.ended_at is None
            self._put(self._glances, row.id, row.model, live=live, data=data)

    def _learn_plans(self, connection: Connection, names: set[str]) -> None:
        """A plan never changes, so it is read once."""
        table = schema.deployments
        query = select(table.c.id, table.c.plan).where(table.c.id.in_(names))
        for row in connection.execute(query) if names else ():
            try:
                plan: Any = msgspec.convert(row.plan, Plan)
            except msgspec.ValidationError:
                # One that is damaged is told as what it is, beside all the others.
                self._plans[row.id] = _Laid(("unreadable",))
                continue
            self._plans[row.id] = _Laid(
                tuple(step_name(plan, number) for number in range(len(plan.steps) + 1)),
                plan.experiment.challengers if plan.experiment else (),
            )

    def _shares(self, row: Row[Any], plan: _Laid) -> dict[str, float]:
        """Of each challenger, in force at the gateways."""
        route = self._table.routes.get(row.model)
        known = statuses.in_force(route) if route else {}
        return {name: known.get(name, 0.0) for name in plan.challengers or (row.challenger,)}

    def _put(
        self, sights: dict[str, Sight], name: str, model: str, *, live: bool, data: bytes
    ) -> None:
        known = sights.get(name)
        if known is None or known.data != data:
            self._number += 1
            sights[name] = Sight(self._number, model, live, data)

    def _forget(self) -> None:
        """What nobody watches any more, and all but the newest that ended."""
        for name in set(self._statuses) - set(self._watched):
            del self._statuses[name]
            self._built.pop(name, None)
        if not self._everything:
            # Nobody has looked at them since: what is kept could be long over.
            self._glances.clear()
        ended = sorted(name for name, sight in self._glances.items() if not sight.live)
        for name in ended[: max(0, len(ended) - _MOST_ENDED)]:
            del self._glances[name]
        for name in set(self._plans) - set(self._glances):
            del self._plans[name]


def _lines(connection: Connection, where: Any) -> Iterator[Row[Any]]:
    """The columns of a line, with the newest verdict's, and without any JSON."""
    table, verdicts = schema.deployments, schema.verdicts
    newest = (
        select(verdicts.c.id)
        .where(verdicts.c.deployment == table.c.id)
        .order_by(verdicts.c.id.desc())
        .limit(1)
        .correlate(table)
        .scalar_subquery()
    )
    columns = (
        *(column for column in table.c if column.name in _PLAIN),
        verdicts.c.verdict.label("looked"),
        verdicts.c.reason.label("said"),
        verdicts.c.requests,
    )
    query = select(*columns).join_from(table, verdicts, verdicts.c.id == newest, isouter=True)
    yield from connection.execute(query.where(where).order_by(table.c.id))


def _dropped(connection: Connection, names: set[str]) -> dict[str, dict[str, str]]:
    """Of these experiments, who was taken out and why, by place."""
    table = schema.experiments
    query = select(table.c.deployment, table.c.dropped).where(table.c.deployment.in_(names))
    rows = connection.execute(query) if names else ()
    return {row.deployment: row.dropped for row in rows}


_OTHERS = {"steps", "requests", "shares", "dropped"}
_PLAIN = {field.name for field in msgspec.structs.fields(Glance)} - _OTHERS


def _glance(row: Row[Any], **more: Any) -> Glance:
    known: dict[str, Any] = {name: getattr(row, name) for name in _PLAIN}
    if row.ended_at is None and row.looked is not None:
        # While it lives, what the evidence says now says more than how it came to its step.
        known |= {"verdict": row.looked, "reason": row.said}
    return Glance(**known, **more, requests=row.requests or 0)
