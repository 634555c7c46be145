"""``serinus bench``: how fast this machine serves and folds."""

from __future__ import annotations

from typing import Annotated

import typer

from serinus.cli.options import Json
from serinus.cli.session import finish

commands = typer.Typer(help="Speed on this machine.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="bench")


@commands.callback()
def bench() -> None:
    """Speed on this machine."""


@commands.command()
def serve(
    seconds: Annotated[float, typer.Option(help="Length of one round.", min=0.5)] = 5.0,
    rounds: Annotated[int, typer.Option(help="Rounds of each server.", min=1)] = 3,
    connections: Annotated[int, typer.Option(help="Open connections.", min=1)] = 16,
    as_json: Json = False,
) -> None:
    """The gateway with everything on, beside a server that only answers."""
    from serinus.bench import serve as benchmark

    result = benchmark.run(seconds=seconds, rounds=rounds, connections=connections)
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result)))


@commands.command()
def fold(
    events: Annotated[int, typer.Option(help="Events folded in memory.", min=1)] = 1_000_000,
    stored: Annotated[int, typer.Option(help="Requests folded into a store.", min=1)] = 50_000,
    as_json: Json = False,
) -> None:
    """What evidence costs: folding events into it, keeping it, and a verdict on it."""
    from serinus.bench import fold as benchmark

    result = benchmark.run(events=events, stored=stored)
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result)))
