"""The control plane as it is, and a blow to it from within: ``python -m serinus.chaos.control``.

The arguments are :class:`Orders` as JSON, then those of ``serinus``. Of ``up`` it is the control
process that gets the orders, in each of its lives.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import random
import runpy
import signal
import sys
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import msgspec

from serinus import clock
from serinus.chaos import record
from serinus.chaos.types import Orders, Point
from serinus.settings import forget_environment

ENTRY = "serinus.chaos.control"


def main(arguments: list[str]) -> None:
    """Be ``serinus`` with these orders and arguments; comes back by SystemExit only."""
    orders = msgspec.json.decode(arguments[0], type=Orders)
    words = arguments[1:]
    if "up" in words:
        _pass_on(orders)
    else:
        record.note(orders.record, "began")
        suffer(orders)
    sys.argv = ["serinus", *words]
    runpy.run_module("serinus", run_name="__main__", alter_sys=True)


def entry(orders: Orders) -> list[str]:
    """What Python is to run for this, before the arguments of ``serinus``."""
    return ["-m", ENTRY, msgspec.json.encode(orders).decode()]


def live(orders: Orders, words: list[str], log: str) -> None:
    """Be a forked control process: its words go to ``log``, its parent's end is its own."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    forget_environment()
    main([msgspec.json.encode(orders).decode(), *words])


def suffer(orders: Orders) -> None:
    """Do to this process what is ordered, from now on."""
    # Imported here since `up`, which only passes the orders on, need not wait for them.
    from serinus.chaos.writes import Writes  # noqa: PLC0415

    if orders.moment:
        _keep_time(Path(orders.moment), shifts=orders.moment_is_shift)
    blows = Blows(orders)
    _count_passes(orders, blows)
    if orders.strike != "never" or not orders.passes:
        Writes(blows.reach, orders.loop).listen()


class Blows:
    """Strikes this process where its orders say so, and never twice at the same point."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        past = record.strikes(record.read(orders.record))
        self._struck = set(past)
        self._left = orders.most - len(past) if orders.most else 1 << 62
        self._passing = random.Random(f"{orders.seed} {len(past)}").randint(0, orders.passing)
        self._resumed = 0.0

    def resume(self) -> None:
        """The first fold or decision of this life is safe."""
        if not self._resumed:
            self._resumed = clock.monotonic()
            record.note(self._orders.record, "resumed")

    def reach(self, point: Point) -> None:
        """Be at a point: die, stop, or go on."""
        if self._is_due(point):
            name = self._name(point)
            self._struck.add(name)
            self._left -= 1
            record.note(self._orders.record, "struck", name)
            os.kill(os.getpid(), _SIGNALS[self._orders.blow])
        if point.side == "after" and point.write.endswith("COMMIT") and _is_work(point):
            self.resume()

    def _is_due(self, point: Point) -> bool:
        if not self._may(point) or self._name(point) in self._struck:
            return False
        self._passing -= 1
        return self._passing < 0

    def _may(self, point: Point) -> bool:
        orders = self._orders
        if orders.strike == "never" or self._left <= 0:
            return False
        if orders.strike == "transitions" and not point.transition:
            return False
        if orders.one_in > 1 and _number(orders.seed, point) % orders.one_in:
            return False
        if orders.armed and not Path(orders.armed).exists():
            return False
        calm = self._resumed and clock.monotonic() - self._resumed >= orders.calm_seconds
        return not orders.calm_seconds or bool(calm)

    def _name(self, point: Point) -> str:
        # Under a script each batch has a time of its own: its writes are other points.
        moment = "" if not self._orders.moment else f"{clock.epoch_us()}: "
        return f"{moment}{point.side} {point.write}"


_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _number(seed: int, point: Point) -> int:
    return zlib.crc32(f"{seed} {point.side} {point.write}".encode())


def _is_work(point: Point) -> bool:
    return point.transition or "ledger_offsets" in point.write


def _keep_time(path: Path, *, shifts: bool) -> None:
    """Let the product's clock, which is in one module, say what the file says."""
    real = clock.epoch_us

    def told() -> int:
        read = int(path.read_text())
        return real() + read if shifts else read

    setattr(clock, "epoch_us", told)  # noqa: B010 - a function is no attribute to assign to
    setattr(clock, "now", lambda: clock.from_epoch_us(told()))  # noqa: B010


def _count_passes(orders: Orders, blows: Blows) -> None:
    """Tell how many passes of the controller are over: who writes a script waits for that."""
    from serinus.delivery.controller import Controller  # noqa: PLC0415

    once = Controller.run_once
    passes = 0

    def counted(controller: Controller) -> bool:
        nonlocal passes
        busy = once(controller)
        blows.resume()
        passes += 1
        if orders.passes:
            Path(orders.passes).write_text(f"{os.getpid()} {passes}")
        return busy

    setattr(Controller, once.__name__, counted)


def _pass_on(orders: Orders) -> None:
    """Let ``serinus up`` start its control process through this module."""
    from serinus.processes import up  # noqa: PLC0415

    programs = up.programs

    def ordered(settings: Any, given: Mapping[str, Any]) -> list[Any]:
        return [
            replace(program, command=_ordered(program.command, orders))
            if program.name == "control"
            else program
            for program in programs(settings, given)
        ]

    setattr(up, programs.__name__, ordered)


def _ordered(command: Sequence[str], orders: Orders) -> list[str]:
    python, _module, _serinus, *words = command
    return [python, *entry(orders), *words]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
