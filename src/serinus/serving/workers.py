"""Keeps N workers of one gateway alive behind one port: listen -> fork -> wait -> fork again.

All workers accept from one listening socket that this process holds: while a worker is replaced,
connections wait in its queue and none is refused. Workers are forked from a process that has
the libraries loaded but no thread running, so a new one is there in a moment and shares their
memory. The supervisor's death closes a pipe, and its workers end with it.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import threading
from types import FrameType

from serinus import clock
from serinus.errors import Unavailable
from serinus.ledger.opening import prepare
from serinus.serving.board import Board
from serinus.serving.types import GatewayOptions

SHORT_LIFE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
_PRELOADED = ("serinus.serving.gateway", "sklearn.pipeline", "sklearn.utils.validation")

_log = logging.getLogger("serinus.serving")


def run(options: GatewayOptions, *, workers: int) -> None:
    """Serve with so many workers until SIGTERM or SIGINT; then let them finish and return.

    To be called in the main thread of a process that has no other thread. A second signal, or
    workers that have not finished in time, ends them at once.

    Raises:
        Unavailable: the port is taken, or the ledger cannot be written.
    """
    # Threads of numeric libraries are counted when these are loaded, which is below.
    os.environ.update(options.environment)  # noqa: TID251
    prepare(options.ledger)
    gateway = importlib.import_module(_PRELOADED[0])
    listener: socket.socket = gateway.listen(options.host, options.port)
    for name in _PRELOADED[1:]:
        importlib.import_module(name)
    _Supervisor(options, listener, workers).run()


class _Supervisor:
    def __init__(self, options: GatewayOptions, listener: socket.socket, workers: int) -> None:
        self._options = options
        self._listener = listener
        self._board = Board(workers)
        self._slots: dict[int, int] = {}
        self._born: dict[int, float] = {}
        self._free = list(range(workers))
        self._stop = threading.Event()
        self._alive, self._alive_until_end = os.pipe()

    def run(self) -> None:
        before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, self._end),
                (signal.SIGINT, self._end),
                (signal.SIGALRM, self._kill),
            )
        }
        pause = 0.05
        try:
            while self._slots or not self._stop.is_set():
                while self._free and not self._stop.is_set():
                    self._fork(self._free.pop())
                pid, status = os.wait()
                short = self._bury(pid, status)
                if not self._stop.is_set():
                    # Only a worker that dies again and again has to wait for its successor.
                    pause = min(pause * 2, LONGEST_PAUSE_SECONDS) if short else 0.05
                    self._stop.wait(pause if short else 0.0)
        finally:
            signal.alarm(0)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._listener.close()
            os.close(self._alive)
            os.close(self._alive_until_end)

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
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._alive_until_end)
            gateway = importlib.import_module(_PRELOADED[0])
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
        if not self._stop.is_set():
            _log.warning(
                "worker %d ended after %.1f s (status %d); replacing it", pid, lived, status
            )
        return lived < SHORT_LIFE_SECONDS

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
