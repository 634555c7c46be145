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
        return turns.take(
            {name: Contender(order) for name, order in self._orders(rate=0).items()}
            | dict(others or {}),
            self.pace.rounds,
            self.cores.load,
        )

    def steady(self, rate: float) -> Rounds:
        """Single rows at a fixed rate; the bare answerer shows what the machine itself adds."""
        contenders = {name: Contender(order) for name, order in self._orders(rate).items()}
        return turns.take(contenders, self.pace.rounds, self.cores.load).rounds

    def batch(self) -> Rounds:
        """Batches of BATCH_ROWS rows; a tally counts batches."""
        order = load.Order(
            self.gateway.port,
            f"/models/{self.kind}/predict/batch",
            artifact.batches(),
            BATCH_CONNECTIONS,
            self.pace.seconds,
        )
        return turns.take({GATEWAY: Contender(order)}, self.pace.rounds, self.cores.load).rounds

    def _orders(self, rate: float) -> dict[str, load.Order]:
        asked = artifact.bodies()
        return {
            name: load.Order(port, path, asked, self.pace.connections, self.pace.seconds, rate)
            for name, port, path in (
                (BARE, self.bare.port, "/"),
                (GATEWAY, self.gateway.port, f"/models/{self.kind}/predict"),
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
