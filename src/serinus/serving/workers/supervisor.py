"""Keeps N workers of one gateway alive behind one port: listen -> fork -> wait -> fork again.

All workers accept from one listening socket that this process holds: while a worker is replaced,
connections wait in its queue and none is refused. Workers are forked from a process that has
the libraries loaded but no thread running, so a new one is there in a moment and shares their
memory. The supervisor's death closes a pipe, and its workers end with it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import select
import signal
import socket
import threading
from types import FrameType

from serinus import clock
from serinus.errors import SerinusError, Unavailable
from serinus.ledger.opening import prepare
from serinus.serving.telling.board import Board
from serinus.serving.types import GatewayOptions
from serinus.serving.workers.scaling import Scaler

SHORT_LIFE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.05
LOOK_SECONDS = 0.5
_GATEWAY = "serinus.serving.workers.gateway"

_log = logging.getLogger("serinus.serving")


def run(options: GatewayOptions, *, workers: int, most: int = 0) -> None:
    """Serve with so many workers until SIGTERM or SIGINT; then let them finish and return.

    To be called in the main thread of a process that has no other thread. A second signal, or
    workers that have not finished in time, ends them at once.

    Args:
        options: of the gateway.
        workers: that there are at least.
        most: that there may be while all of them are busy; 0 leaves it at ``workers``.

    Raises:
        Unavailable: the port is taken, or the ledger cannot be written.
    """
    # Threads of numeric libraries are counted when these are loaded, which is below.
    os.environ.update(options.environment)  # noqa: TID251
    prepare(options.ledger)
    gateway = importlib.import_module(_GATEWAY)
    listener: socket.socket = gateway.listen(options.host, options.port)
    for name in gateway.preloaded(options):
        importlib.import_module(name)
    _Supervisor(options, listener, Scaler(workers, most), max(workers, most)).run()


class _Supervisor:
    def __init__(
        self, options: GatewayOptions, listener: socket.socket, scaler: Scaler, slots: int
    ) -> None:
        self._options = options
        self._listener = listener
        self._scaler = scaler
        self._board = Board(slots)
        self._slots: dict[int, int] = {}
        self._born: dict[int, float] = {}
        self._leaving: set[int] = set()
        self._free = list(reversed(range(slots)))
        self._stop = threading.Event()
        self._alive, self._alive_until_end = os.pipe()
        # Signals wake the supervisor out of its pause between two looks.
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        self._news = select.poll()
        self._news.register(self._woken, select.POLLIN)
        self._pause = _SHORTEST_PAUSE_SECONDS
        self._rested_at = 0.0

    def run(self) -> None:
        before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, self._end),
                (signal.SIGINT, self._end),
                (signal.SIGALRM, self._kill),
                (signal.SIGCHLD, lambda _number, _frame: None),
            )
        }
        woken_before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            while self._slots or not self._stop.is_set():
                self._reap()
                if not self._stop.is_set():
                    self._adjust(clock.monotonic())
                self._rest()
        finally:
            signal.alarm(0)
            signal.set_wakeup_fd(woken_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._listener.close()
            for end in (self._alive, self._alive_until_end, self._woken, self._wake):
                os.close(end)

    def _rest(self) -> None:
        self._news.poll(1_000 * LOOK_SECONDS)
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4_096)

    def _reap(self) -> None:
        """Take note of the workers that ended."""
        while self._slots:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            short = self._bury(pid, status)
            if short:
                # Only a worker that dies again and again has to wait for its successor.
                self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
                self._rested_at = clock.monotonic() + self._pause
            else:
                self._pause = _SHORTEST_PAUSE_SECONDS

    def _adjust(self, now: float) -> None:
        """Begin or end workers until there are as many as wanted."""
        staying = [pid for pid in self._slots if pid not in self._leaving]
        wanted = self._scaler.note([self._board.busy(self._slots[pid]) for pid in staying], now)
        if now >= self._rested_at:
            for _ in range(min(wanted - len(staying), len(self._free))):
                self._fork(self._free.pop())
        for pid in staying[wanted:]:
            _log.info("one worker less is enough: ending %d", pid)
            self._leaving.add(pid)
            os.kill(pid, signal.SIGTERM)

    def _fork(self, slot: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._work(slot)
        self._slots[pid] = slot
        self._born[pid] = clock.monotonic()

    def _work(self, slot: int) -> None:
        """The child's life; never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for end in (self._alive_until_end, self._woken, self._wake):
                os.close(end)
            gateway = importlib.import_module(_GATEWAY)
            gateway.run(
                self._options,
                listener=self._listener,
                board=self._board,
                slot=slot,
                parent=self._alive,
            )
            code = 0
        except Unavailable as error:
            _log.error("%s", error)
        except BaseException:
            _log.exception("a worker failed")
        finally:
            # Not sys.exit: what the parent registered for its own end is none of the child's.
            os._exit(code)

    def _bury(self, pid: int, status: int) -> bool:
        """Take note of a worker's end; whether its life was short."""
        slot = self._slots.pop(pid)
        self._board.retire(slot)
        self._free.append(slot)
        lived = clock.monotonic() - self._born.pop(pid)
        expected = self._stop.is_set() or pid in self._leaving
        self._leaving.discard(pid)
        if not expected:
            # What it had not written whole is cut off, and readers need not look there again.
            with contextlib.suppress(SerinusError):
                prepare(self._options.ledger)
            _log.warning(
                "worker %d ended after %.1f s (status %d); replacing it", pid, lived, status
            )
        return not expected and lived < SHORT_LIFE_SECONDS

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            self._kill(_number, _frame)
            return
        self._stop.set()
        for pid in self._slots:
            os.kill(pid, signal.SIGTERM)
        signal.alarm(round(self._options.request_timeout_seconds) + 5)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        for pid in self._slots:
            os.kill(pid, signal.SIGKILL)
