"""``serinus models``: list, show, compare, register, promote."""

from __future__ import annotations

from typing import Annotated

import typer

from serinus.cli.options import ControlUrl, Json, Limit, Reason
from serinus.cli.session import finish, first

commands = typer.Typer(help="Models and their versions.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="models")


@commands.command("list")
def listing(
    context: typer.Context, limit: Limit = 100, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Models with their champions."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = first(client.models(), limit)
    finish({"models": found}, as_json=as_json, show=lambda out: out.print(show.models(found)))


@commands.command("show")
def one(
    context: typer.Context,
    model: str,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """One model with its versions, newest first."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.model(model)
        versions = first(client.versions(model), limit)
    finish(
        {"model": found, "versions": versions},
        as_json=as_json,
        show=lambda out: out.print(show.models([found]), show.versions(versions), sep="\n"),
    )


@commands.command()
def compare(
    context: typer.Context,
    model: str,
    a: str,
    b: str,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Two versions side by side."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.compare(model, a, b)
    finish(found, as_json=as_json, show=lambda out: out.print(show.comparison(found)))


@commands.command()
def register(
    context: typer.Context,
    model: str,
    artifact: Annotated[
        str, typer.Argument(help="An MLflow model: a folder, runs:/RUN/PATH or models:/NAME/N.")
    ],
    target: Annotated[str, typer.Option(help="What it predicts.")] = "target",
    version: Annotated[
        str | None, typer.Option(help="A semantic version, instead of the next.")
    ] = None,
    description: str = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Register a finished MLflow model as the next version."""
    with context.obj.client(url) as client:
        made = client.register(
            model, artifact, target=target, version=version, description=description
        )
    finish(
        made,
        as_json=as_json,
        show=lambda out: out.print(
            f"Registered {made.model} {made.version}. Bring it to traffic: "
            f"serinus deploy {made.model} {made.version}"
        ),
    )


@commands.command()
def promote(
    context: typer.Context,
    model: str,
    version: str,
    stage: Annotated[str, typer.Option(help="Staging, Production or Archived.")] = "Production",
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Move a version to a stage by hand, past every canary."""
    with context.obj.client(url) as client:
        moved = client.promote_version(model, version, stage=stage, reason=reason)
    finish(
        moved,
        as_json=as_json,
        show=lambda out: out.print(f"{moved.model} {moved.version} stands in {moved.stage} now."),
    )
