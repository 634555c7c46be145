"""Sees every write of this process from within: statements, commits, and the routing table.

Nothing in the product knows of it: SQLAlchemy tells of statements, and what has no event is
wrapped in this process alone.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

from serinus.chaos.types import Point

ROUTING_TABLE = "routing.json"

_WRITE = re.compile(r'\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)
_MOVES = ("UPDATE deployments", "INSERT deployment_history")
_SHORT = {"INSERT INTO": "INSERT", "DELETE FROM": "DELETE", "UPDATE": "UPDATE"}


class Writes:
    """Calls ``reach`` before and after each write of the loops named ``loop``.

    Args:
        reach: is told each point, in the thread that writes.
        loop: the name of the threads whose writes count.
    """

    def __init__(self, reach: Callable[[Point], None], loop: str) -> None:
        self._reach = reach
        self._loop = loop
        self._here = threading.local()

    def listen(self) -> None:
        """Begin; for the rest of this process's life."""
        event.listen(Engine, "begin", self._began)
        event.listen(Engine, "rollback", self._began)
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)
        _wrap_begin(self._at_begin)
        _wrap_commit(self._around_commit)
        _wrap_replace(self._around_replace)

    @property
    def _written(self) -> list[str]:
        """What this thread has written in its open transaction."""
        if not hasattr(self._here, "written"):
            self._here.written = []
        written: list[str] = self._here.written
        return written

    def _counts(self) -> bool:
        return threading.current_thread().name == self._loop

    def _at_begin(self) -> None:
        # Here whoever is stopped has judged, holds no lock, and will write what it judged.
        if self._counts():
            self._reach(Point(f"BEGIN after {self._last}", "before"))

    @property
    def _last(self) -> str:
        """What this thread committed last."""
        last: str = getattr(self._here, "last", "a start")
        return last

    def _began(self, _connection: object) -> None:
        self._written.clear()

    def _before(self, _connection: object, _cursor: object, statement: str, *rest: Any) -> None:
        if self._counts() and (label := _label(statement, rest[1])):
            self._written.append(label)
            self._tell("before")

    def _after(self, _connection: object, _cursor: object, statement: str, *_rest: Any) -> None:
        if self._counts() and _WRITE.match(statement):
            self._tell("after")

    def _around_commit(self, commit: Callable[[], None]) -> None:
        if not self._counts() or not self._written:
            commit()
            return
        self._written.append("COMMIT")
        self._tell("before")
        commit()
        self._tell("after")
        self._here.last = self._name()
        self._written.clear()

    def _around_replace(self, target: str, replace: Callable[[], None]) -> None:
        if not self._counts() or Path(target).name != ROUTING_TABLE:
            replace()
            return
        # By what was committed last one publication is told from another.
        last = self._last
        moves = any(move in last for move in _MOVES)
        for side in ("before", "after"):
            self._reach(Point(f"publish after {last}", side, moves or last == "a start"))
            if side == "before":
                replace()

    def _name(self) -> str:
        return ", ".join(self._written)

    def _tell(self, side: Any) -> None:
        name = self._name()
        self._reach(Point(name, side, any(move in name for move in _MOVES)))


def _label(statement: str, context: Any) -> str:
    """What a statement writes; "" for one that only reads. A move says where it leads."""
    found = _WRITE.match(statement)
    if found is None:
        return ""
    label = f"{_SHORT[found[1].upper()]} {found[2]}"
    if label == _MOVES[0]:
        given = context.compiled_parameters[0]
        label += f" to {given.get('phase')} {given.get('step')}"
    return label


def _wrap_begin(at: Callable[[], None]) -> None:
    begin: Any = Engine.begin

    def wrapped(engine: Engine) -> Any:
        at()
        return begin(engine)

    setattr(Engine, "begin", wrapped)  # noqa: B010 - a method is no attribute to assign to


def _wrap_commit(around: Callable[[Callable[[], None]], None]) -> None:
    """SQLAlchemy's event comes before a commit only; the driver's call has two sides."""
    commit: Any = DefaultDialect.do_commit

    def wrapped(dialect: DefaultDialect, connection: Any) -> None:
        around(lambda: commit(dialect, connection))

    setattr(DefaultDialect, commit.__name__, wrapped)


def _wrap_replace(around: Callable[[str, Callable[[], None]], None]) -> None:
    replace = os.replace

    def wrapped(source: Any, target: Any, **more: Any) -> None:
        around(str(target), lambda: replace(source, target, **more))

    setattr(os, replace.__name__, wrapped)
