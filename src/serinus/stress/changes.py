"""What a proof of swaps publishes: who is champion when, and how it came to that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from serinus.stress.versions import MODEL
from serinus.wire import Route, Target

Kind: TypeAlias = Literal["cold", "announced", "promoted", "rollback"]
"""``cold`` makes a version champion that no worker has loaded, ``announced`` gives such a one half
of the traffic as challenger, ``promoted`` then makes it champion, and ``rollback`` gives the former
champion its place back."""

SWAPS: tuple[Kind, ...] = ("cold", "promoted")
SHARE = 0.5


@dataclass(frozen=True)
class Change:
    """One revision of the routing table."""

    kind: Kind
    route: Route


def first(targets: Sequence[Target]) -> Route:
    """What is in force before the first change."""
    return Route(MODEL, targets[0])


def changes(targets: Sequence[Target], rollbacks: int) -> Iterator[Change]:
    """Make each target champion in turn, by turns cold and as a canary, with rollbacks between.

    Args:
        targets: versions; the first is champion already, none of the others was ever loaded.
        rollbacks: how many, evenly among the swaps.
    """
    swaps = len(targets) - 1
    champion = targets[0]
    for number, following in enumerate(targets[1:], 1):
        former = champion
        if number % 2:
            yield Change("cold", Route(MODEL, following))
        else:
            canary = Route(
                MODEL, former, following, share=SHARE, salt=str(number), deployment=str(number)
            )
            yield Change("announced", canary)
            # As in a deployment's soak: the former champion stays loaded, without traffic.
            yield Change("promoted", Route(MODEL, following, former, deployment=str(number)))
        champion = following
        if number * rollbacks // swaps > (number - 1) * rollbacks // swaps:
            champion = former
            yield Change("rollback", Route(MODEL, champion))
