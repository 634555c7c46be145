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
    seconds: Annotated[float, typer.Option(help="Length of one turn.", min=0.1)] = 2.0,
    rounds: Annotated[int, typer.Option(help="Turns of each server.", min=1)] = 5,
    connections: Annotated[int, typer.Option(help="Open connections.", min=1)] = 32,
    only: Annotated[
        str, typer.Option(help="Parts, with commas: logistic, forest, batch, …", show_default=False)
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="One short turn of each.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if a bar is missed.")] = False,
    as_json: Json = False,
) -> None:
    """Every bar of the gateway, with everything on, beside servers that do less."""
    from serinus.bench import serve as benchmark
    from serinus.bench.turns import Pace

    pace = Pace(0.2, 1, connections) if quick else Pace(seconds, rounds, connections)
    parts = [part.strip() for part in only.split(",")] if only else benchmark.PARTS
    result = benchmark.run(pace, parts)
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result)))
    if check and not result.holds:
        raise typer.Exit(1)


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
