"""Which loaded versions to let go of when they take more memory than they may. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

KEPT_IDLE = 4
"""Versions out of service that stay loaded, so that a rollback finds its champion warm."""


@dataclass(frozen=True)
class Held(Generic[Key]):
    """A loaded version.

    Args:
        key: which.
        size: in bytes.
        used_at: when it last answered, or was loaded; in seconds.
        in_service: whether the routing table names it.
        is_warm: whether it must stay loaded: a deployment is under way, or rows wait for it.
    """

    key: Key
    size: int
    used_at: float
    in_service: bool
    is_warm: bool


def surplus(held: Sequence[Held[Key]], budget: int, kept_idle: int = KEPT_IDLE) -> list[Key]:
    """The versions to unload, least recently used first; those out of service before all others.

    Args:
        held: all that are loaded.
        budget: bytes that they may take together; 0 is no limit.
        kept_idle: how many out of service stay, memory permitting.
    """
    free = sorted(
        (one for one in held if not one.is_warm), key=lambda one: (one.in_service, one.used_at)
    )
    idle = [one for one in free if not one.in_service]
    gone = idle[: max(len(idle) - kept_idle, 0)]
    excess = sum(one.size for one in held) - sum(one.size for one in gone) - budget
    for one in free[len(gone) :] if budget else ():
        if excess <= 0:
            break
        gone.append(one)
        excess -= one.size
    return [one.key for one in gone]
