"""Parts of a gateway inside the test's own loop: lanes of runtimes that do as they are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from tests.serving import samples

from serinus import wire
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.router import Router
from serinus.serving.asking.rows import Row
from serinus.serving.asking.tickets import Ticket
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.types import Features, Outcome

_lanes: list[Lane] = []


class Scripted:
    """A runtime that calls a function of the rows and notes what it was given, and where."""

    def __init__(self, answer: Callable[[Sequence[Features]], list[Outcome]]) -> None:
        self.manifest = samples.number_manifest()
        self.calls: list[list[Features]] = []
        self.threads: list[threading.Thread] = []
        self._answer = answer

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        self.calls.append(list(rows))
        self.threads.append(threading.current_thread())
        return self._answer(rows)

    is_steady = True

    def close(self) -> None:
        pass


def saying(value: wire.Answer) -> Scripted:
    return Scripted(lambda rows: [wire.Output(value)] * len(rows))


def raising(message: str = "broken") -> Scripted:
    def answer(_rows: Sequence[Features]) -> list[Outcome]:
        raise RuntimeError(message)

    return Scripted(answer)


class Held(Scripted):
    """A runtime that answers only once it is released."""

    def __init__(self, value: wire.Answer) -> None:
        self.release = threading.Event()

        def answer(rows: Sequence[Features]) -> list[Outcome]:
            self.release.wait(10)
            return [wire.Output(value)] * len(rows)

        super().__init__(answer)


def lane(
    version: str,
    runtime: Scripted,
    *,
    timeout: float = 5.0,
    inline: bool = True,
    freed: Callable[[], None] = lambda: None,
) -> Lane:
    loop = asyncio.get_running_loop()
    made = Lane(version, runtime, loop, timeout_seconds=timeout, freed=freed)
    if inline:
        made.trust()
    _lanes.append(made)
    return made


def close_lanes() -> None:
    """Let the threads end of all lanes that were made so far."""
    while _lanes:
        _lanes.pop().close()


def live_route(
    champion: Lane,
    challenger: Lane | None = None,
    others: Sequence[Lane | None] = (),
    **more: object,
) -> LiveRoute:
    route = wire.Route(
        model="numbers",
        champion=wire.Target(champion.version, "-"),
        challenger=wire.Target(challenger.version, "-") if challenger else None,
        deployment="d",
        others=tuple(
            wire.Variant(wire.Target(str(place), "-"), 0.5 + place / 10, 0.1)
            for place, _ in enumerate(others, 1)
        ),
        **more,  # type: ignore[arg-type]
    )
    return LiveRoute(
        route=route,
        revision=5,
        router=Router(route, 5, lambda: b"key"),
        decoder=RequestDecoder("numbers", samples.NUMBERS),
        champion=champion,
        challenger=challenger,
        projections={},
        others=tuple(others),
    )


def row(
    live: LiveRoute, arm: wire.Arm = wire.Arm.CHAMPION, *, first: float = 1.0, variant: int = 0
) -> Row:
    ticket = Ticket(1, lambda _: None)
    assignment = wire.Assignment("numbers", arm, live.route.share, 5, "d", 1, variant=variant)
    return Row(live, assignment, (first, 0.0, 0.0, 0.0), ticket)


async def settled(rows: Sequence[Row]) -> None:
    """Wait until all these rows' requests were told of them."""
    async with asyncio.timeout(10):
        while not all(row.ticket.is_over for row in rows):
            await asyncio.sleep(0)
