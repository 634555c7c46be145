"""``serinus stress``: swaps, kills and hostile clients against processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.options import Json
from serinus.cli.session import finish

if TYPE_CHECKING:
    from serinus.stress.types import Finding

commands = typer.Typer(help="Proofs under load, kills and attacks.", no_args_is_help=True)

Seed = Annotated[int, typer.Option(help="Of all that is left to chance.", min=0)]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="stress")


@commands.callback()
def stress() -> None:
    """Proofs under load, kills and attacks."""


@commands.command()
def swap(
    swaps: Annotated[int, typer.Option(help="Champions replaced by a new version.", min=1)] = 100,
    rollbacks: Annotated[int, typer.Option(help="Former champions brought back.", min=0)] = 20,
    rate: Annotated[float, typer.Option(help="Requests a second.", min=1)] = 1_000.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Versions change places under load: nothing dropped, every answer by who is named."""
    from serinus.stress import swap as proof

    _tell(proof.run(swaps=swaps, rollbacks=rollbacks, rate=rate, seed=seed), as_json=as_json)


@commands.command()
def kill(
    kills: Annotated[int, typer.Option(help="How many processes are struck.", min=1)] = 50,
    rate: Annotated[float, typer.Option(help="Requests a second.", min=1)] = 300.0,
    pause: Annotated[float, typer.Option(help="Most seconds between two kills.", min=0.5)] = 6.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Everything is killed at random under load: nothing acknowledged lost or counted twice."""
    from serinus.stress import kill as proof

    found = proof.run(kills=kills, rate=rate, pause=(0.5, pause), seed=seed)
    _tell(found, as_json=as_json)


@commands.command()
def fuzz(
    attempts: Annotated[int, typer.Option(help="Attacks to make.", min=1)] = 5_000,
    minutes: Annotated[
        float | None, typer.Option(help="Or go on for so long.", min=0.1, show_default=False)
    ] = None,
    only: Annotated[
        int | None, typer.Option(help="Make this attack alone.", min=0, show_default=False)
    ] = None,
    workers: Annotated[int, typer.Option(help="Workers of the gateway.", min=1)] = 1,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Hostile clients at every route: only 2xx and 4xx, no worker harmed, others answered."""
    from serinus.stress import fuzz as proof

    found = proof.run(attempts=attempts, minutes=minutes, seed=seed, only=only, workers=workers)
    _tell(found, as_json=as_json)


@commands.command()
def split(
    keys: Annotated[int, typer.Option(help="How many keys ask.", min=100)] = 1_000_000,
    workers: Annotated[int, typer.Option(help="Workers of the gateway.", min=1)] = 4,
    restarts: Annotated[int, typer.Option(help="Restarts of the gateway.", min=1)] = 3,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Every key keeps its version: over workers, restarts, rising shares, dropped challengers."""
    from serinus.stress import split as proof

    _tell(proof.run(keys=keys, workers=workers, restarts=restarts, seed=seed), as_json=as_json)


@commands.command()
def twins(
    deployments: Annotated[int, typer.Option(help="Of each kind of traffic.", min=1)] = 8,
    seconds: Annotated[float, typer.Option(help="That each of them lasts.", min=1)] = 8.0,
    only: Annotated[
        list[str] | None,
        typer.Option(help="This weight alone; may be repeated.", show_default=False),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """A version that is registered again is not taken back for its latency."""
    from serinus.stress import twins as proof

    found = proof.run(deployments=deployments, seconds=seconds, only=proof.chosen(only), seed=seed)
    _tell(found, as_json=as_json)


def _tell(found: Finding, *, as_json: bool) -> None:
    from serinus.stress import report

    finish(found.as_dict(), as_json=as_json, show=lambda out: out.print(report.finding(found)))
    if not found.passed:
        raise typer.Exit(1)
