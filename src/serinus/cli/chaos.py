"""``serinus chaos``: faults that delivery must survive, made against processes of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from serinus.cli.options import Json
from serinus.cli.session import finish, progress_console

if TYPE_CHECKING:
    from serinus.stress.types import Finding

commands = typer.Typer(help="Proofs that delivery survives faults.", no_args_is_help=True)

Seed = Annotated[int, typer.Option(help="Of all that is left to chance.", min=0)]
Rate = Annotated[float, typer.Option("--rps", help="Requests a second, live.", min=1)]
Databases = Annotated[
    Literal["sqlite", "postgresql", "both"], typer.Option("--database", help="Of the store.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="chaos")


@commands.callback()
def chaos(context: typer.Context) -> None:
    """Proofs that delivery survives faults."""
    from serinus.chaos import ending

    context.with_resource(ending.orderly())


@commands.command()
def rollout(
    kill_at: Annotated[
        str, typer.Option(help="`all`, or one in so many writes.", metavar="all|N")
    ] = "all",
    kills: Annotated[int, typer.Option(help="Kills under live traffic; 0 is none.", min=0)] = 30,
    rps: Rate = 500.0,
    database: Databases = "both",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The control process is killed at every write: same verdict, evidence and steps."""
    from serinus.chaos import rollout as proof
    from serinus.chaos.databases import KINDS

    if kill_at != "all" and not (kill_at.isdecimal() and int(kill_at)):
        raise typer.BadParameter("must be `all` or a number", param_hint="--kill-at")
    found = proof.run(
        kinds=KINDS if database == "both" else [database],
        kills=kills,
        rate=rps,
        one_in=1 if kill_at == "all" else int(kill_at),
        seed=seed,
        progress=progress_console().print,
    )
    _tell(found, as_json=as_json)


@commands.command()
def rollback(
    cause: Annotated[
        Literal["model", "upstream", "both"], typer.Option(help="What is to blame.")
    ] = "both",
    seeds: Annotated[int, typer.Option(help="Incidents of each cause.", min=1)] = 100,
    live: Annotated[int, typer.Option(help="Live ones of each; 0 is none.", min=0, max=12)] = 3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """A version turns bad, or a feed of both breaks: after the rollback it is known which."""
    from serinus.chaos import causes as proof

    found = proof.run(
        causes=["model", "upstream"] if cause == "both" else [cause],
        seeds=seeds,
        live=live,
        seed=seed,
        progress=progress_console().print,
    )
    _tell(found, as_json=as_json)


@commands.command()
def leader(
    seeds: Annotated[int, typer.Option(help="Runs of each script and database.", min=1)] = 3,
    database: Databases = "both",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Of three controllers the leader dies or stands still: each move is made once."""
    from serinus.chaos import leader as proof
    from serinus.chaos.databases import KINDS

    kinds = KINDS if database == "both" else [database]
    progress = progress_console().print
    _tell(proof.run(kinds=kinds, seeds=seeds, seed=seed, progress=progress), as_json=as_json)


@commands.command()
def clock(
    seeds: Annotated[int, typer.Option(help="Runs of each script.", min=1)] = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The clock jumps by hours: nothing is promoted, lost or repeated by that."""
    from serinus.chaos import clocks as proof

    progress = progress_console().print
    _tell(proof.run(seeds=seeds, seed=seed, progress=progress), as_json=as_json)


@commands.command()
def disk(
    fills: Annotated[int, typer.Option(help="How often it is full, by setting.", min=1)] = 3,
    rps: Rate = 100.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The disk is full for a while: that is told, and nothing acknowledged is lost (needs root)."""
    from serinus.chaos import disk as proof

    _tell(proof.run(fills=fills, rate=rps, seed=seed), as_json=as_json)


@commands.command()
def database(
    seeds: Annotated[int, typer.Option(help="Runs of each script.", min=1)] = 2,
    outages: Annotated[int, typer.Option(help="Under live traffic; 0 is none.", min=0)] = 8,
    rps: Rate = 200.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """PostgreSQL restarts, drops connections, is cut off: predictions go on, evidence is exact."""
    from serinus.chaos import outages as proof

    found = proof.run(
        seeds=seeds, outages=outages, rate=rps, seed=seed, progress=progress_console().print
    )
    _tell(found, as_json=as_json)


def _tell(found: Finding, *, as_json: bool) -> None:
    from serinus.stress import report

    finish(found.as_dict(), as_json=as_json, show=lambda out: out.print(report.finding(found)))
    if not found.passed:
        raise typer.Exit(1)
