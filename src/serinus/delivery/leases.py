"""One controller leads: by a lease in the store, whose token fences off whoever has lost it.

Time decides only who may ask for the lease, never who may write: each transaction of a leader
first looks at the token, under a lock that its successor needs. So neither a clock that jumps nor a
process that slept for an hour in the middle of a pass can do harm.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Connection, Engine, func, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from serinus import clock
from serinus.errors import Conflict
from serinus.store import schema
from serinus.store.engine import reading

CONTROLLER = "controller"
# A lease is renewed so many times within its length: one slow write does not lose it.
_RENEWALS = 3
_LEASES = schema.leases
_NOBODY = ""
_PROC = Path("/proc")


Guard: TypeAlias = Callable[[Connection], None]
"""To be called at the beginning of a transaction; raises if its caller may not carry it through."""


def unguarded(connection: Connection) -> None:
    """Anybody may: people are guarded by what they expect to find."""


class Deposed(Conflict):
    """Another one has the lease since; nothing of the transaction was written."""


class _Held(NamedTuple):
    holder: str
    token: int
    until: datetime


class Lease:
    """One contender's side of a lease.

    A holder renews it every third of its length. Another contender takes it once the holder gave
    it up, died on this machine, or did not renew it for its whole length on the contender's own
    clock, so that no two machines' clocks are ever compared.

    Args:
        engine: the store.
        seconds: the length.
        name: of the lease.
        holder: who this is; unique in all of the store's time.
    """

    def __init__(
        self, engine: Engine, seconds: float, *, name: str = CONTROLLER, holder: str | None = None
    ) -> None:
        self._engine = engine
        self._seconds = seconds
        self._name = name
        self._me = holder or myself()
        self._token: int | None = None
        self._renew_at = 0.0
        self._seen: tuple[_Held | None, float] = (None, 0.0)

    @property
    def token(self) -> int | None:
        """The token under which this one holds it, as far as it knows; None if it does not."""
        return self._token

    def take(self) -> bool:
        """Hold the lease, newly or still, if that is possible now; whether it is held."""
        if self._token is not None and clock.monotonic() < self._renew_at:
            return True
        with reading(self._engine) as connection:
            found = self._find(connection)
        if not self._may_take(found):
            self._token = None
            return False
        try:
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(select(self._patience()))
                self._token = self._write(connection, found)
        except IntegrityError:
            # Two asked for a lease that nobody had ever had.
            self._token = None
        self._renew_at = clock.monotonic() + self._seconds / _RENEWALS
        return self._token is not None

    def guard(self, connection: Connection) -> None:
        """Make the caller's transaction one that only the holder can carry through.

        To be called before anything is written in it.

        Raises:
            Deposed: another one holds the lease.
        """
        query = select(_LEASES.c.token).where(_LEASES.c.name == self._name)
        if connection.dialect.name == "postgresql":
            query = query.add_columns(self._patience()).with_for_update(read=True)
        found = connection.execute(query).first()
        if self._token is None or found is None or found.token != self._token:
            mine, self._token = self._token, None
            raise Deposed(
                f"another holds the lease {self._name!r} since token {mine}",
                where=self._me,
                remedy="Nothing was written; the one that leads does it.",
            )

    def release(self) -> None:
        """Give the lease up, so that another one need not wait."""
        if self._token is None:
            return
        with self._engine.begin() as connection:
            connection.execute(
                update(_LEASES)
                .where(_LEASES.c.name == self._name, _LEASES.c.token == self._token)
                .values(holder=_NOBODY)
            )
        self._token = None

    def _patience(self) -> ColumnElement[str]:
        """A successor has to wait for a transaction that touches the lease.

        If this process stops in its middle, the server ends it once the lease would have run out.
        """
        patience = f"{max(1, round(self._seconds * 1_000))}ms"
        return func.set_config("idle_in_transaction_session_timeout", patience, true())

    def _find(self, connection: Connection) -> _Held | None:
        query = select(_LEASES.c.holder, _LEASES.c.token, _LEASES.c.until)
        row = connection.execute(query.where(_LEASES.c.name == self._name)).first()
        return None if row is None else _Held(*row)

    def _may_take(self, found: _Held | None) -> bool:
        if found is None or found.holder in (_NOBODY, self._me) or is_gone(found.holder):
            return True
        seen, since = self._seen
        if seen != found:
            self._seen = (found, clock.monotonic())
            return False
        return clock.monotonic() - since >= self._seconds

    def _write(self, connection: Connection, found: _Held | None) -> int | None:
        """The token under which it is held now; None if somebody was faster."""
        until = clock.now() + timedelta(seconds=self._seconds)
        if found is None:
            values = {"name": self._name, "holder": self._me, "token": 1, "until": until}
            connection.execute(insert(_LEASES).values(**values))
            return 1
        token = found.token + (found.holder != self._me)
        changed = connection.execute(
            update(_LEASES)
            .where(
                _LEASES.c.name == self._name,
                _LEASES.c.token == found.token,
                _LEASES.c.holder == found.holder,
                # Renewed since the look at it: its holder lives.
                _LEASES.c.until == found.until,
            )
            .values(holder=self._me, token=token, until=until)
        )
        return token if changed.rowcount == 1 else None


def myself() -> str:
    """This process for others to look for: machine, process, its start, and a number of its own."""
    pid = os.getpid()
    return f"{_machine()} {pid} {_begun(pid)} {secrets.token_hex(4)}"


def is_gone(holder: str) -> bool:
    """Whether the process of that name ran on this machine and does not run any more.

    Of another machine, or another container of this one, nothing can be said.
    """
    machine, _, rest = holder.partition(" ")
    pid, begun = (*rest.split(), "", "")[:2]
    if not pid.isdigit() or not machine or machine != _machine():
        return False
    return begun != _begun(int(pid))


def _machine() -> str:
    """This boot of this machine, as seen from this container; "" where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _begun(pid: int) -> str:
    """When a process began, in the kernel's ticks; "" if there is none, or only its remains."""
    try:
        # Behind the name, which may hold anything: state is the 3rd field, the start the 22nd.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
