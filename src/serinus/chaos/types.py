"""What is ordered of a control process that is to suffer, and what it tells of that."""

from __future__ import annotations

from typing import Literal

import msgspec

Blow = Literal["kill", "stop"]
"""``kill`` is SIGKILL, ``stop`` is SIGSTOP: the process goes on when somebody continues it."""


class Point(msgspec.Struct, frozen=True):
    """A place in the life of a control process at which it can be struck.

    Attributes:
        write: what it has written since it last committed, and is writing now.
        side: of that write.
        transition: whether a deployment moves by it.
    """

    write: str
    side: Literal["before", "after"]
    transition: bool = False


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a control process does to itself.

    Attributes:
        record: the file of what happened, which outlives it; what it names is not done again.
        strike: at which points: none, every one, or those of a transition alone.
        blow: what a strike is.
        most: strikes in all, over all processes with this record; 0 is no limit.
        one_in: only one in so many points is due, by the seed; always the same ones.
        passing: most points that each life passes by before it is struck, by the seed.
        seed: of that.
        calm_seconds: how long a process lives, from its first pass, before it is struck.
        armed: strikes only while this file is there; empty for always.
        moment: the file with the time of day in microseconds since 1970; empty for the real time.
        moment_is_shift: whether that is rather what the real time is off by.
        passes: the file in which it counts its passes; empty for none.
        loop: the name of the loop whose writes are points.
    """

    record: str
    strike: Literal["never", "every", "transitions"] = "never"
    blow: Blow = "kill"
    most: int = 0
    one_in: int = 1
    passing: int = 0
    seed: int = 0
    calm_seconds: float = 0.0
    armed: str = ""
    moment: str = ""
    moment_is_shift: bool = False
    passes: str = ""
    loop: str = "controller"


class Note(msgspec.Struct, frozen=True):
    """One line of a record; ``at`` in monotonic seconds, which all processes share.

    A process ``began`` before it imported anything, ``resumed`` when its first fold or decision was
    safe, and is ``struck`` at a point.
    """

    kind: Literal["began", "resumed", "struck"]
    at: float
    pid: int
    point: str = ""
