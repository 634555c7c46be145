"""``serinus jobs``: background work."""

from __future__ import annotations

from typing import Annotated

import typer

from serinus.cli.options import ControlUrl, Json, Limit
from serinus.cli.session import finish, first

commands = typer.Typer(help="Background work: trainings and retrainings.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="jobs")


@commands.command("list")
def listing(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="train or retrain.")] = None,
    state: Annotated[
        str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")
    ] = None,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Jobs, newest first."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = first(client.jobs(kind, state), limit)
    finish({"jobs": found}, as_json=as_json, show=lambda out: out.print(show.jobs(found)))


@commands.command("show")
def one(context: typer.Context, job: str, url: ControlUrl = None, as_json: Json = False) -> None:
    """One job with its result or error."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.job(job)
    finish(
        found,
        as_json=as_json,
        show=lambda out: out.print(
            show.jobs([found]), str(found.result or ""), found.error, sep="\n", markup=False
        ),
    )


@commands.command()
def cancel(context: typer.Context, job: str, url: ControlUrl = None, as_json: Json = False) -> None:
    """Cancel a job; one that runs is ended."""
    with context.obj.client(url) as client:
        found = client.cancel_job(job)
    finish(found, as_json=as_json, show=lambda out: out.print(f"{found.id} is {found.state}."))


@commands.command()
def train(
    context: typer.Context,
    data: Annotated[str, typer.Option(help="A file on the worker's machine, or a bundled set.")],
    model: Annotated[str, typer.Option(help="The name to register under.")],
    target: Annotated[str, typer.Option(help="The column to predict.")] = "target",
    algorithm: Annotated[str, typer.Option(help="auto, or an algorithm's name.")] = "auto",
    deploy: Annotated[bool, typer.Option("--deploy", help="Deploy what passes.")] = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Ask a worker for a training."""
    with context.obj.client(url) as client:
        found = client.train(data, model, target=target, algorithm=algorithm, deploy=deploy)
    finish(
        found,
        as_json=as_json,
        show=lambda out: out.print(
            f"Job {found.id} is {found.state}. Its result: serinus jobs show {found.id}"
        ),
    )
