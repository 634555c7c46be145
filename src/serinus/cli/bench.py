"""``serinus bench``: how fast this machine serves and folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from serinus.cli.options import Json
from serinus.cli.session import finish, progress_console

Environments = Annotated[
    Path | None,
    typer.Option(
        help="Where the peers' environments are kept.", show_default="~/.cache/serinus/bench"
    ),
]

# Tables are as wide as they are: a line that is broken is no row any more.
_PLAIN: Any = {"soft_wrap": True, "markup": False}

commands = typer.Typer(help="Speed on this machine.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="bench")


@commands.callback()
def bench() -> None:
    """Speed on this machine."""


@commands.command()
def serve(
    *,
    seconds: Annotated[float, typer.Option(help="Length of one turn.", min=0.1)] = 2.0,
    rounds: Annotated[int, typer.Option(help="Turns of each server.", min=1)] = 5,
    connections: Annotated[int, typer.Option(help="Open connections.", min=1)] = 32,
    only: Annotated[
        str,
        typer.Option(
            help="Parts, with commas: logistic, forest, boosted, batch, latency, workers, "
            "memory, peers.",
            show_default="all but peers",
        ),
    ] = "",
    peers: Annotated[
        bool, typer.Option("--peers", help="Other servers too; they are installed if need be.")
    ] = False,
    environments: Environments = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short turn of each.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if a bar is missed.")] = False,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Only show where a worker's time goes, and write it to this file.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Every bar of the gateway, with everything on, beside servers that do less."""
    from serinus import logs
    from serinus.bench import hotspots
    from serinus.bench import serve as benchmark
    from serinus.bench.turns import Pace

    logs.configure("error", process="bench")
    pace = Pace(0.2, 1, connections) if quick else Pace(seconds, rounds, connections)
    parts = [part.strip() for part in only.split(",")] if only else [*benchmark.OURS]
    if profile:
        kind = next((part for part in parts if part in benchmark.TIMES), "logistic")
        shown = hotspots.run(kind, pace, profile)
        finish(
            {"profile": str(profile)}, as_json=as_json, show=lambda out: out.print(shown, **_PLAIN)
        )
        return
    parts += [benchmark.PEERS] if peers else []
    told = progress_console()
    result = benchmark.run(pace, parts, environments=environments, tell=told.print)
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result), **_PLAIN))
    if check and not result.holds:
        raise typer.Exit(1)


@commands.command()
def peers(environments: Environments = None, as_json: Json = False) -> None:
    """Install the servers that the gateway is measured beside, each in its own environment."""
    from serinus.bench.peers.field import DEFAULT_HOME, Field
    from serinus.bench.table import columns

    field = Field(progress_console().print)
    field.install(environments or DEFAULT_HOME)
    rows = [("server", "release", ""), *(state.row() for state in field.states)]
    finish(list(field.states), as_json=as_json, show=lambda out: out.print(columns(rows), **_PLAIN))


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


@commands.command()
def controller(
    deployments: Annotated[int, typer.Option(help="Live deployments.", min=1)] = 1_000,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if a bar is missed.")] = False,
    as_json: Json = False,
) -> None:
    """What so many live deployments cost: a pass over them, and control's memory."""
    from serinus import logs
    from serinus.bench import controller as benchmark

    logs.configure("error", process="bench")
    result = benchmark.run(deployments)
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result), **_PLAIN))
    if check and not all(bar.holds for bar in result.bars):
        raise typer.Exit(1)


@commands.command()
def reaction(
    turns: Annotated[int, typer.Option(help="Rollbacks of each kind.", min=1)] = 7,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 if a bar is missed.")] = False,
    as_json: Json = False,
) -> None:
    """How soon a challenger has no traffic after proven harm, and after a person's word."""
    from serinus import logs
    from serinus.bench import reaction as benchmark

    logs.configure("error", process="bench")
    result = benchmark.run(turns)
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result), **_PLAIN))
    if check and not all(bar.holds for bar in result.bars):
        raise typer.Exit(1)
