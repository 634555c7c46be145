"""SIGKILL to a part of a running installation, and its return."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from typing import Literal, TypeAlias, get_args

from serinus import clock
from serinus.demo.installation import Installation
from serinus.errors import Unavailable
from serinus.stress import proc

Part: TypeAlias = Literal["gateway worker", "gateway", "control", "up", "everything"]
"""``gateway`` is the process that looks after the gateway's workers, ``control`` the one with the
API, the controller and the consumer of the ledger, ``up`` the one that looks after all others, and
``everything`` all of them in one blow."""

PARTS: tuple[Part, ...] = get_args(Part)
# How often each is struck. Without `up` nothing comes back by itself, and that takes long.
WEIGHTS = (6, 4, 6, 2, 2)
RETURN_SECONDS = 90.0


def find(installation: Installation, part: Part) -> list[int]:
    """The processes of a part that are there at this moment."""
    if installation.process.poll() is not None:
        return []
    up = installation.process.pid
    children = {pid: proc.words(pid) for pid in proc.children(up)}
    gateways = [pid for pid, words in children.items() if "gateway" in words]
    workers = [pid for gateway in gateways for pid in proc.children(gateway)]
    found: dict[Part, list[int]] = {
        "gateway worker": workers,
        "gateway": gateways,
        "control": [pid for pid, words in children.items() if "control" in words],
        "up": [up],
        "everything": [up, *children, *workers],
    }
    return found[part]


def strike(installation: Installation, part: Part, chance: random.Random | None = None) -> int:
    """Kill a part; how many processes that were.

    Args:
        installation: that is running.
        part: of it.
        chance: which of several gateway workers is killed; None is all of them.
    """
    pids = find(installation, part)
    if part == "gateway worker" and chance is not None and pids:
        pids = [chance.choice(pids)]
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def revive(installation: Installation) -> bool:
    """Start an installation again whose ``up`` was killed; whether that was so.

    Its children end by themselves when it dies, and its successor refuses to start until then.

    Raises:
        Unavailable: it did not come back; names the log.
    """
    if installation.process.poll() is None:
        return False
    deadline = clock.monotonic() + RETURN_SECONDS
    while clock.monotonic() < deadline:
        if installation.process.poll() is not None:
            clock.sleep(0.3)
            installation.launch()
        if answers(installation):
            return True
        clock.sleep(0.2)
    raise Unavailable("the installation did not come back", where=str(installation.log.name))


def answers(installation: Installation) -> bool:
    """Whether the control plane answers and finds all its parts well."""
    with installation.client as client:
        try:
            return client.health().status == "ok"
        except Unavailable:
            return False
