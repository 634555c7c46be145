"""A champion that is not there: it fails each row and says why, so that a default is answered.

A version that is still being loaded, or cannot be, is one that cannot answer, and for that a model
has its default. What is answered is recorded as the version's failure, and is no evidence. A
person may also want the default alone for a time: then no version has failed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.router import Router
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.types import Features, Outcome
from serinus.wire import Answer, Manifest, Route

LOADING = "the version is being loaded"
BY_HAND = "no version is asked: by hand, the default alone answers"


class Absent:
    """Stands where the runtime of a version will be.

    Args:
        manifest: of the version, by which requests are read.
        why: it is not there.
    """

    is_steady = True

    def __init__(self, manifest: Manifest, why: str) -> None:
        self.manifest = manifest
        self._why = why

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """Why there is none, for each row."""
        return [self._why] * len(rows)

    def close(self) -> None:
        """Nothing is held."""


def stand_in(
    route: Route,
    revision: int,
    lane: Lane,
    why: str,
    default: Answer,
    *,
    warm: tuple[Lane, ...] = (),
) -> LiveRoute:
    """A route that answers its default alone, until its champion is loaded, or asked again.

    Args:
        route: as the table has it.
        revision: of the table.
        lane: of an :class:`Absent` version.
        why: the champion is not there.
        default: as the model would say it.
        warm: what is loaded of the route.
    """
    # Without its deployment: what nobody was drawn for is no evidence.
    alone = Route(route.model, route.champion, default=default, breaker=route.breaker)
    return LiveRoute(
        route=msgspec.structs.replace(alone, staging=route.staging, alone_until=route.alone_until),
        revision=revision,
        router=Router(alone, revision, lambda: b""),
        decoder=RequestDecoder(route.model, lane.runtime.manifest.inputs),
        champion=lane,
        challenger=None,
        projections={},
        warm=warm,
        absent=why,
    )
