"""How fast: single rows beside the bare answerer, batches, and latency at a rate that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from serinus.bench import artifact, launch, load, servers, turns
from serinus.bench.turns import Pace, Rounds

BARE = "bare ASGI"
GATEWAY = "Serinus"
BATCH_CONNECTIONS = 4


def single(
    kind: str,
    home: Path,
    cores: launch.Cores,
    pace: Pace,
    others: Mapping[str, load.Order] | None = None,
) -> Rounds:
    """Single rows of one kind of model, as many as each server can answer.

    Args:
        kind: the model that is asked.
        home: the gateway's folder.
        cores: that serve and drive.
        pace: of the turns.
        others: servers that run already and take turns too.
    """
    with ExitStack() as stack:
        bare = stack.enter_context(servers.start((cores.server,)))
        gateway = stack.enter_context(servers.start((cores.server,), home))
        asked = artifact.bodies()
        orders = {
            BARE: load.Order(bare.port, "/", asked, pace.connections, pace.seconds),
            GATEWAY: load.Order(
                gateway.port, f"/models/{kind}/predict", asked, pace.connections, pace.seconds
            ),
            **(others or {}),
        }
        return turns.take(orders, pace.rounds, cores.load)


def batch(kind: str, home: Path, cores: launch.Cores, pace: Pace) -> Rounds:
    """Batches of BATCH_ROWS rows; a tally counts batches."""
    with servers.start((cores.server,), home) as gateway:
        order = load.Order(
            gateway.port,
            f"/models/{kind}/predict/batch",
            artifact.batches(),
            BATCH_CONNECTIONS,
            pace.seconds,
        )
        return turns.take({GATEWAY: order}, pace.rounds, cores.load)


def steady(kind: str, home: Path, cores: launch.Cores, pace: Pace, rate: float) -> Rounds:
    """Single rows at a fixed rate; the bare answerer at the same shows what the machine adds."""
    with ExitStack() as stack:
        bare = stack.enter_context(servers.start((cores.server,)))
        gateway = stack.enter_context(servers.start((cores.server,), home))
        asked = artifact.bodies()
        return turns.take(
            {
                name: load.Order(port, path, asked, pace.connections, pace.seconds, rate)
                for name, port, path in (
                    (BARE, bare.port, "/"),
                    (GATEWAY, gateway.port, f"/models/{kind}/predict"),
                )
            },
            pace.rounds,
            cores.load,
        )
