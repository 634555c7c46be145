"""How fast: single rows beside the bare answerer, batches, and latency at a rate that is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serinus.bench import artifact, launch, load, servers, turns
from serinus.bench.turns import Contender, Pace, Rounds, Taken

BARE = "bare ASGI"
GATEWAY = "Serinus"
BATCH_CONNECTIONS = 4


@dataclass(frozen=True)
class Pair:
    """A gateway that serves a model of one kind, and the bare answerer, on the same core."""

    kind: str
    gateway: launch.Running
    bare: launch.Running
    cores: launch.Cores
    pace: Pace

    def single(self, others: Mapping[str, Contender] | None = None) -> Taken:
        """Single rows, as many as each server can answer; others take turns with the two."""
        contenders = self._at(rate=0) | dict(others or {})
        return turns.take(contenders, self.pace.rounds, self.cores.load)

    def steady(self, rate: float) -> Rounds:
        """Single rows at a fixed rate; the bare answerer shows what the machine itself adds."""
        return turns.take(self._at(rate), self.pace.rounds, self.cores.load).rounds

    def batch(self) -> Rounds:
        """Batches of BATCH_ROWS rows; a tally counts batches."""
        order = load.Order(
            self.gateway.port,
            f"/models/{self.kind}/predict/batch",
            artifact.batches(),
            BATCH_CONNECTIONS,
            self.pace.seconds,
        )
        contenders = {GATEWAY: Contender(order, self.gateway)}
        return turns.take(contenders, self.pace.rounds, self.cores.load).rounds

    def _at(self, rate: float) -> dict[str, Contender]:
        asked, pace = artifact.bodies(), self.pace
        return {
            name: Contender(
                load.Order(server.port, path, asked, pace.connections, pace.seconds, rate), server
            )
            for name, server, path in (
                (BARE, self.bare, "/"),
                (GATEWAY, self.gateway, f"/models/{self.kind}/predict"),
            )
        }


@contextmanager
def start(kind: str, home: Path, cores: launch.Cores, pace: Pace) -> Iterator[Pair]:
    """Both servers for as long as the block.

    Raises:
        Unavailable: one did not start.
    """
    with (
        servers.start((cores.server,), home) as gateway,
        servers.start((cores.server,)) as bare,
    ):
        yield Pair(kind, gateway, bare, cores, pace)
