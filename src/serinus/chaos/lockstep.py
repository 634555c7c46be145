"""A control process and a script, hand in hand: a batch is written only when the last is decided.

The control process is held still while a batch is written, so that it is read as one, and its clock
says what the script says. What then still differs between two runs is what befell them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType

import msgspec
from sqlalchemy import Engine, func, select

from serinus import clock
from serinus.chaos import control, course, record
from serinus.chaos.course import Course
from serinus.chaos.scene import Scene
from serinus.chaos.script import Scribe, Script
from serinus.chaos.types import Note, Orders
from serinus.delivery.folding import consumer
from serinus.delivery.folding.replay import Replays
from serinus.delivery.records import deployments
from serinus.errors import Unavailable
from serinus.ledger.archive.reader import open_archived
from serinus.ledger.consumer import load_offsets
from serinus.ledger.opening import open_reader
from serinus.store import schema
from serinus.store.engine import open_engine, reading

_SETTINGS = {
    "controller_interval_seconds": "0.005",
    "worker_status_seconds": "120",
    "log_level": "warning",
}
_PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.005
# Passes of one process without a move: the batch was judged, and nothing followed from it.
_QUIET_PASSES = 2
_MOVES = select(func.count()).select_from(schema.deployment_history)
_PRELOAD = ["serinus.processes.control", "serinus.chaos.control", "serinus.chaos.writes"]


@dataclass
class Control:
    """A control process that is started again whenever it dies.

    It is forked from a process that has imported everything, and so is back within a moment.

    Args:
        home: its home.
        address: of the database that it is given.
        orders: what it does to itself.
        settings: further ones.
        port: at which it answers; 0 is any.

    Attributes:
        starts: how often it was started.
        stopped: whether it is to stand still until somebody says otherwise.
    """

    home: Path
    address: str
    orders: Orders
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    starts: int = 0
    stopped: bool = False
    process: BaseProcess | None = None

    @property
    def pid(self) -> int:
        """Of the present process; 0 if there is none."""
        alive = self.process is not None and self.process.is_alive()
        return (self.process.pid or 0) if alive and self.process else 0

    @property
    def log(self) -> Path:
        """What it says."""
        return self.home / "control.log"

    def keep(self) -> bool:
        """Start it if it is not there; whether that was so.

        Raises:
            Unavailable: it ended without being killed.
        """
        if self.pid:
            return False
        if self.process is not None and self.process.exitcode != -signal.SIGKILL:
            raise Unavailable(
                f"the control process ended by itself (code {self.process.exitcode})",
                where=str(self.log),
                faults=[self.log.read_text(errors="replace")[-2_000:]],
            )
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOAD)
        words = ["--home", str(self.home)]
        for name, value in {**_SETTINGS, "database_url": self.address, **self.settings}.items():
            words += ["--set", f"{name}={value}"]
        words += ["control", "--control-port", str(self.port)]
        self.process = context.Process(
            target=control.live, args=(self.orders, words, str(self.log)), daemon=True
        )
        self.process.start()
        self.starts += 1
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if pid := self.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        """Kill it: it holds nothing that must be put in order."""
        if self.process is not None:
            self.process.kill()
            self.process.join()


@dataclass(frozen=True)
class Ran:
    """What became of one run: its course, what of it cannot be, and whether its replay is exact."""

    course: Course
    faults: list[str]
    exact: bool
    batches: int
    notes: list[Note]
    seconds: float


class Lockstep:
    """One run of a script against control processes. Use as a context manager.

    Args:
        scene: where; it is used up.
        script: what is written.
        controls: who controls.
        moment: the file of the script's time; None if it is the real one.
        meddle: is called again and again while a batch is decided.
        beside: further scripts, of other models, with the pace of the first.
        look_seconds: from one look at what is decided to the next.

    Attributes:
        batches: how many were written.
        shift_us: by how much the control's clock is off the script's.
        engine: the home's database.
        scribe: who writes.
        deployment: the id of the one that is looked at.
    """

    def __init__(
        self,
        scene: Scene,
        script: Script,
        controls: list[Control],
        *,
        moment: Path | None = None,
        meddle: Callable[[Lockstep], None] = lambda run: None,
        beside: Sequence[Script] = (),
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._scene = scene
        self._script = script
        self._beside = beside
        self._look_seconds = look_seconds
        self._controls = controls
        self._moment = moment
        self._moment_us = scene.moment_us
        self._meddle = meddle
        self.batches = 0
        self.shift_us = 0
        self.deployment = scene.deployment

    def __enter__(self) -> Lockstep:
        self.engine: Engine = open_engine(self._scene.address)
        self._reader = open_reader(self._scene.home / "ledger")
        self.scribe = Scribe([self._script, *self._beside], self._scene.home)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._controls:
            one.end()
        self.scribe.close()
        self._reader.close()
        self.engine.dispose()

    def run(self, between: Callable[[Lockstep], None] = lambda run: None) -> Course:
        """Write until the deployment has ended, and say what became of it.

        Args:
            between: is called before each batch.

        Raises:
            Unavailable: a batch was not decided in time, or the script came to no end.
        """
        self.write(between, self._is_live)
        return course.read(self.engine, self.deployment)

    def write(self, between: Callable[[Lockstep], None], goes_on: Callable[[], bool]) -> None:
        """Write one batch after the other.

        Args:
            between: is called before each batch.
            goes_on: whether there is to be a further one.

        Raises:
            Unavailable: a batch was not decided in time, or the script came to no end.
        """
        self._tick()
        self.scribe.report(self._moment_us)
        self.settle()
        while goes_on():
            between(self)
            if self.batches >= self._script.most_batches:
                raise Unavailable(f"the script {self._script.name!r} came to no end")
            with self._held():
                self._tick()
                self.scribe.write(self._moment_us, self._moment_us + self.shift_us)
            self.batches += 1
            self.settle()

    def replays(self) -> bool:
        """Whether every look comes out again, bit for bit."""
        ledger = open_archived(self._scene.home / "ledger", self._scene.home / "archive")
        return Replays(self.engine, ledger).replay(self.deployment).exact

    @property
    def moment_us(self) -> int:
        """The time of day of the script."""
        return self._moment_us

    def faults(self) -> list[str]:
        """What of the history cannot be."""
        found = course.read(self.engine, self.deployment)
        with reading(self.engine) as connection:
            history = deployments.history(connection, self.deployment)
        return course.faults(history, [number for number, _ in found.revisions])

    @property
    def leader(self) -> Control | None:
        """Who leads, if it is there."""
        if len(self._controls) == 1:
            return self._controls[0]
        with reading(self.engine) as connection:
            held = connection.execute(select(schema.leases.c.holder)).scalar()
        words = held.split() if held else []
        return next((one for one in self._controls if str(one.pid) in words), None)

    def _tick(self) -> None:
        if self._moment is None:
            self._moment_us = clock.epoch_us()
            return
        self._moment_us += round(self._script.pause_seconds * 1e6)
        draft = self._moment.with_suffix(".draft")
        draft.write_text(str(self._moment_us + self.shift_us))
        draft.replace(self._moment)

    def _is_live(self) -> bool:
        with reading(self.engine) as connection:
            return deployments.get(connection, self.deployment).live

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Every control process stands still meanwhile."""
        for one in self._controls:
            one.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for one in self._controls:
                if not one.stopped:
                    one.signal(signal.SIGCONT)

    def settle(self) -> None:
        """Wait until what was written is folded and decided, whoever dies of it."""
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        quiet: tuple[int, int, int] | None = None
        while clock.monotonic() < deadline:
            begun = [one.keep() for one in self._controls]
            if any(begun):
                # It died of the batch: its successor has as long again, as no death is repeated.
                deadline = clock.monotonic() + _PATIENCE_SECONDS
            self._meddle(self)
            pid, passes = self._passed()
            moves = self._moves()
            if moves is None or not pid:
                quiet = None
            elif quiet is None or quiet[0] != pid or quiet[2] != moves:
                quiet = (pid, passes, moves)
            elif passes >= quiet[1] + _QUIET_PASSES:
                return
            clock.sleep(self._look_seconds)
        raise Unavailable(
            f"batch {self.batches} was not decided within {_PATIENCE_SECONDS:g} s",
            where=str(self._controls[0].log),
        )

    def _passed(self) -> tuple[int, int]:
        """The process that leads, and how many passes it has made; zeros if there is none."""
        leader = self.leader
        if leader is not None and not leader.stopped:
            with suppress(OSError, ValueError):
                pid, passes = map(int, Path(leader.orders.passes).read_text().split())
                if pid == leader.pid:
                    return pid, passes
        return 0, 0

    def _moves(self) -> int | None:
        """How often the deployment has moved; None while events wait to be folded."""
        with reading(self.engine) as connection:
            offsets = load_offsets(connection, consumer.NAME)
            moves = len(deployments.history(connection, self.deployment))
        return None if self._reader.read(offsets, 1).records else moves


def filed(orders: Orders, home: Path) -> Orders:
    """The same orders, with their files in a home."""
    return msgspec.structs.replace(
        orders,
        record=str(home / "record"),
        moment=str(home / "moment"),
        passes=str(home / "passes"),
    )


def perform(
    place: Scene,
    script: Script,
    orders: Orders | None = None,
    *,
    address: str = "",
    between: Callable[[Lockstep], None] = lambda run: None,
    meddle: Callable[[Lockstep], None] = lambda run: None,
) -> Ran:
    """Run a script with one control process whose clock is the script's.

    Args:
        place: where; it is used up.
        script: what is written.
        orders: what the control process does to itself; its files are named here.
        address: of the database for the control process, if it is not that of the place.
        between: is called before each batch.
        meddle: is called again and again while a batch is decided.
    """
    home = place.home
    given = filed(orders or Orders(record=""), home)
    one = Control(home, address or place.address, given)
    began = clock.monotonic()
    with Lockstep(place, script, [one], moment=home / "moment", meddle=meddle) as run:
        found = run.run(between)
        took = clock.monotonic() - began
        notes = record.read(given.record)
        return Ran(found, run.faults(), run.replays(), run.batches, notes, took)
