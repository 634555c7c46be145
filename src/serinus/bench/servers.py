"""The servers that are measured, each a process of its own (``python -m serinus.bench.servers``).

The bare answerer is the machine's limit for a Python server: the same uvicorn with an
application that reads the body and sends a constant of an answer's size.
"""

from __future__ import annotations

import cProfile
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from serinus.bench import launch
from serinus.serving.types import GatewayOptions
from serinus.serving.workers import gateway, supervisor

ANSWER_BYTES = 230


class Order(msgspec.Struct, frozen=True):
    """What to serve: the gateway of a folder, or the bare answerer if there is none."""

    port: int
    home: str = ""
    workers: int = 1
    profile: str = ""


def start(
    on: Sequence[int], home: Path | None = None, count: int = 1, *, profile: Path | None = None
) -> AbstractContextManager[launch.Running]:
    """The gateway of a folder with so many workers, or the bare answerer if there is no folder.

    Args:
        on: the cores that it may use.
        home: what ``artifact.make`` made.
        count: of workers.
        profile: the file in which a worker leaves where its time went, as it ends.

    Raises:
        Unavailable: it did not start.
    """

    def command(port: int) -> list[str]:
        order = Order(port, str(home or ""), count, str(profile or ""))
        return [sys.executable, "-m", __spec__.name, msgspec.json.encode(order).decode()]

    return launch.server(command, on, ready="/health/ready")


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer the same as always."""
    while (await receive()).get("more_body"):
        pass
    body = b'"' + b"x" * (ANSWER_BYTES - 2) + b'"'
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def serve(order: Order) -> None:
    """Serve until a signal ends it."""
    if order.home:
        home = Path(order.home)
        options = GatewayOptions(
            port=order.port, routing_table=home / "routing.json", ledger=home / "ledger"
        )
        if order.profile:
            _profile(Path(order.profile))
        supervisor.run(options, workers=order.workers)
        return
    uvicorn.run(
        bare,
        port=order.port,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )


def _profile(file: Path) -> None:
    """Have every worker that is forked from here leave a profile."""
    run = gateway.run

    def profiled(*given: Any, **named: Any) -> None:
        profile = cProfile.Profile()
        try:
            profile.runcall(run, *given, **named)
        finally:
            profile.dump_stats(file)

    # Workers look it up in its module as they begin.
    vars(gateway)["run"] = profiled


if __name__ == "__main__":
    serve(msgspec.json.decode(sys.argv[1], type=Order))
