"""What people order while the control plane dies of it: repeated, it has happened once.

A deployment is led through its life by hand, and the control process is killed before and after
every write that a command makes. Whoever got no answer asks again, as people do. What then became
of the deployment must be what becomes of it where nobody dies.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from serinus import clock
from serinus.chaos import course, record, scene
from serinus.chaos.course import Course
from serinus.chaos.databases import Kind, opened
from serinus.chaos.lockstep import Control, Lockstep, filed
from serinus.chaos.scene import Scene
from serinus.chaos.script import MODEL, Script
from serinus.chaos.types import Orders
from serinus.client import Serinus
from serinus.delivery.records import deployments
from serinus.delivery.types import Deployment, Phase
from serinus.errors import Conflict, Unavailable
from serinus.processes import ports
from serinus.store import schema
from serinus.store.engine import reading

THREADS = "AnyIO worker thread"
"""Who carries out what is asked over HTTP."""

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 300.0
_RETRY_SECONDS = 0.02
_MOST_BATCHES = 40
_WHY = "because a person says so"
_SPEC = {
    "shares": [0.2, 0.5],
    "shadow": False,
    "approvals": True,
    "min_requests": 300,
    "soak_seconds": 86_400.0,
    "label_window_seconds": 30 * 86_400.0,
}


@dataclass(frozen=True)
class _Command:
    """Something that a person orders as soon as the deployment has come so far."""

    name: str
    due: Callable[[Deployment], bool]
    order: Callable[[Serinus, str], object]


def _in(phase: Phase) -> Callable[[Deployment], bool]:
    return lambda found: found.phase is phase and not found.waits_for_approval


_WALK = (
    _Command("pause", _in(Phase.RUNNING), lambda to, id: to.pause(id, reason=_WHY)),
    _Command("resume", _in(Phase.PAUSED), lambda to, id: to.resume(id, reason=_WHY)),
    _Command(
        "approve",
        lambda found: found.waits_for_approval,
        lambda to, id: to.approve(id, reason=_WHY),
    ),
    _Command("abort", _in(Phase.RUNNING), lambda to, id: to.abort(id, reason=_WHY)),
    _Command("retry", _in(Phase.ABORTED), lambda to, id: to.retry(id, reason=_WHY)),
    _Command("promote", _in(Phase.RUNNING), lambda to, id: to.promote(id, reason=_WHY)),
    _Command("rollback", _in(Phase.SOAKING), lambda to, id: to.rollback(MODEL, reason=_WHY)),
)
COMMANDS = tuple(command.name for command in _WALK)


@dataclass
class Walked:
    """One life by hand, under one database.

    Attributes:
        name: of the database.
        kills: how often the control process was killed by each command.
        differences: in what it differs from the life in which nobody died.
        faults: what of its history cannot be, and which repeated commands were refused.
        exact: whether every verdict of it comes out again.
    """

    name: str
    kills: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    exact: bool = True


def run(kind: Kind, *, one_in: int, seed: int) -> Walked:
    """Lead a deployment through its life twice, once undisturbed.

    Args:
        kind: of the database.
        one_in: the part of all writes at which it is killed; 1 is at every one.
        seed: of the traffic, and of where it strikes.

    Raises:
        Unavailable: a command was not carried out in time.
    """
    script = Script("by hand", _SPEC, requests=1_200, most_batches=_MOST_BATCHES, seed=seed)
    with (
        tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder,
        opened(kind) as database,
    ):
        start = scene.prepare(Path(folder) / f"hand{kind}", database, script)
        calm = _walk(_copy(start, "calm"), script, Orders(record=""))
        strike = Orders(record="", strike="every", one_in=one_in, seed=seed, loop=THREADS)
        rough = _walk(_copy(start, "rough"), script, strike)
    return Walked(
        kind,
        rough.kills,
        course.differences(calm.course, rough.course) + _differences(calm.taken, rough.taken),
        [*calm.faults, *rough.faults],
        exact=calm.exact and rough.exact,
    )


@dataclass
class _Person:
    """Orders one thing after the other, and asks again for as long as nobody answers."""

    control: Control
    port: int
    left: list[_Command] = field(default_factory=lambda: list(_WALK))
    kills: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def order(self, run: Lockstep) -> None:
        """Before a batch: whatever is due by now."""
        with reading(run.engine) as connection:
            found = deployments.get(connection, run.deployment)
        if self.left and self.left[0].due(found):
            command = self.left.pop(0)
            before = len(_struck(self.control))
            self._insist(command, run.deployment)
            self.kills[command.name] = len(_struck(self.control)) - before
            # What was stored just before a kill takes effect with the successor's first pass.
            run.settle()

    def _insist(self, command: _Command, deployment: str) -> None:
        deadline, said = clock.monotonic() + _PATIENCE_SECONDS, ""
        with Serinus(f"http://{_HOST}:{self.port}", "", actor="chaos", patience=0) as client:
            while clock.monotonic() < deadline:
                try:
                    command.order(client, deployment)
                except Unavailable as error:
                    said = str(error)
                    if self.control.keep():
                        deadline = clock.monotonic() + _PATIENCE_SECONDS
                    clock.sleep(_RETRY_SECONDS)
                except Conflict as conflict:
                    self.refused.append(f"{command.name} was refused when repeated: {conflict}")
                    return
                else:
                    return
        raise Unavailable(
            f"nobody carried out: {command.name}", where=str(self.control.log), faults=[said]
        )


@dataclass(frozen=True)
class _Life:
    course: Course
    taken: list[tuple[Any, ...]]
    kills: dict[str, int]
    faults: list[str]
    exact: bool


def _walk(place: Scene, script: Script, orders: Orders) -> _Life:
    home, port = place.home, ports.free(_HOST)
    given = filed(orders, home)
    one = Control(home, place.address, given, port=port)
    person = _Person(one, port)
    with Lockstep(place, script, [one], moment=Path(given.moment)) as run:
        run.write(person.order, lambda: bool(person.left))
        found = course.read(run.engine, run.deployment)
        faults = [*run.faults(), *person.refused]
        return _Life(found, _taken(run), person.kills, faults, run.replays())


def _taken(run: Lockstep) -> list[tuple[Any, ...]]:
    """Every rollback, without its id, which is chance's."""
    table = schema.rollbacks
    named = (table.c.taken_back, table.c.to, table.c.deployment, table.c.revision, table.c.reason)
    with reading(run.engine) as connection:
        return [tuple(row) for row in connection.execute(select(*named).order_by(table.c.id))]


def _differences(calm: Sequence[object], rough: Sequence[object]) -> list[str]:
    return [] if calm == rough else [f"rollbacks: {calm!r} became {rough!r}"]


def _struck(control: Control) -> list[str]:
    return record.strikes(record.read(control.orders.record))


def _copy(start: Scene, name: str) -> Scene:
    return start.copy(start.home.with_name(f"{start.home.name}_{name}"))
