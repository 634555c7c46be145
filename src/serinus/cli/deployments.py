"""``serinus deployments``: watch what goes on, and intervene."""

from __future__ import annotations

from typing import Annotated

import typer

from serinus import clock
from serinus.cli import interventions, values, watch
from serinus.cli.options import ControlUrl, Json, Limit
from serinus.cli.session import finish, first
from serinus.errors import SerinusError

commands = typer.Typer(help="Watch deployments and intervene.", no_args_is_help=True)

Which = Annotated[
    str, typer.Argument(metavar="DEPLOYMENT", help="Its id, or a model for its newest.")
]

commands.command()(watch.watch)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    interventions.add_to(commands)
    app.add_typer(commands, name="deployments")


@commands.command("list")
def listing(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Of this model only.")] = None,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Deployments, newest first."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = first(client.deployments(model), limit)
    finish(
        {"deployments": found}, as_json=as_json, show=lambda out: out.print(show.deployments(found))
    )


@commands.command()
def status(
    context: typer.Context, deployment: Which, url: ControlUrl = None, as_json: Json = False
) -> None:
    """One deployment now: where it is, what the evidence says, what is ahead."""
    from serinus.cli import screen

    with context.obj.client(url) as client:
        found = watch.named(client, deployment)
    finish(
        found,
        as_json=as_json,
        show=lambda out: out.print(
            screen.screen(
                screen.Sight(found, clock.now(), out.width, marks=watch.marks_of(out)),
            )
        ),
    )


@commands.command()
def show(
    context: typer.Context, deployment: Which, url: ControlUrl = None, as_json: Json = False
) -> None:
    """All that is known of a deployment: its status, the evidence in words, its history."""
    from serinus.cli import report

    with context.obj.client(url) as client:
        found = watch.named(client, deployment)
        moves = list(client.history(found.deployment.id))
    finish(
        {"status": found, "history": moves},
        as_json=as_json,
        show=lambda out: out.print(report.report(found, moves, clock.now(), out.width)),
    )


@commands.command()
def history(
    context: typer.Context, deployment: Which, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Every move of a deployment, with who and why."""
    from serinus.cli import report

    with context.obj.client(url) as client:
        found = watch.named(client, deployment).deployment
        moves = list(client.history(found.id))
    finish(
        {"history": moves},
        as_json=as_json,
        show=lambda out: out.print(report.moves(moves, found.plan)),
    )


@commands.command()
def replay(
    context: typer.Context, deployment: Which, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Compute every verdict again from the ledger; fails unless all are equal, bit for bit."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.replay(watch.identity(client, deployment))
    finish(found, as_json=as_json, show=lambda out: out.print(show.replay(found)))
    if not found.exact:
        raise typer.Exit(1)


@commands.command()
def whatif(
    context: typer.Context,
    deployment: Which,
    policy: Annotated[
        str, typer.Option(help="TOML, JSON or YAML file: fields of the specification to change.")
    ],
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Say what another policy would have decided on the same traffic; nothing changes."""
    from serinus.cli import show

    changes = values.policy(policy, option="--policy")
    with context.obj.client(url) as client:
        try:
            found = client.whatif(watch.identity(client, deployment), changes)
        except SerinusError as error:
            error.faults = tuple(values.with_lines(error.faults, policy))
            raise
    finish(found, as_json=as_json, show=lambda out: out.print(show.whatif(found)))
