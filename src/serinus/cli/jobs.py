"""``serinus jobs``: background work."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serinus import clock
from serinus.cli.options import ControlUrl, Json, Limit, Reason
from serinus.cli.session import finish, first, progress_console
from serinus.cli.train import (
    Algorithm,
    Deploy,
    Description,
    Model,
    Param,
    Seed,
    Target,
    TestSize,
    TimeColumn,
    Version,
    asked,
)
from serinus.cli.watch import leaving

if TYPE_CHECKING:
    from serinus.client import Serinus

_LOOK_SECONDS = 0.5

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
    finish(found, as_json=as_json, show=lambda out: out.print(show.job(found)))


@commands.command()
def watch(context: typer.Context, job: str, url: ControlUrl = None, as_json: Json = False) -> None:
    """Wait for a job's end; exits with 1 if it failed or was cancelled."""
    with context.obj.client(url) as client:
        _follow(client, job, as_json=as_json)


@commands.command()
def cancel(context: typer.Context, job: str, url: ControlUrl = None, as_json: Json = False) -> None:
    """Cancel a job; one that runs is ended."""
    with context.obj.client(url) as client:
        found = client.cancel_job(job)
    finish(found, as_json=as_json, show=lambda out: out.print(f"{found.id} is {found.state}."))


@commands.command()
def train(
    context: typer.Context,
    *,
    data: Annotated[str, typer.Option(help="A file on the worker's machine, or a bundled set.")],
    model: Model,
    target: Target = "target",
    algorithm: Algorithm = "auto",
    param: Param = None,
    test_size: TestSize = 0.2,
    seed: Seed = 0,
    time_column: TimeColumn = "",
    version: Version = None,
    description: Description = "",
    reason: Reason = "",
    deploy: Deploy = False,
    key: Annotated[
        str | None, typer.Option(help="Asking twice with one key is one job.", show_default=False)
    ] = None,
    wait: Annotated[
        bool, typer.Option("--watch", help="Wait for its end; exit with 1 if it fails.")
    ] = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Ask a worker for a training."""
    # A worker has a working folder of its own.
    place = str(Path(data).resolve()) if Path(data).is_file() else data
    with context.obj.client(url) as client:
        found = client.train(place, deploy=deploy, key=key, **asked(context.params))
        if wait:
            _follow(client, found.id, as_json=as_json)
            return
    finish(
        found,
        as_json=as_json,
        show=lambda out: out.print(
            f"Job {found.id} is {found.state}. Wait for its end: serinus jobs watch {found.id}"
        ),
    )


def _follow(client: Serinus, job: str, *, as_json: bool) -> None:
    """Tell how a job goes until it has ended, and end with 1 if it did not succeed."""
    from serinus.cli import show
    from serinus.client import jobs
    from serinus.client.patience import Outage

    said, screen, outage = "", progress_console(), Outage(math.inf)
    with leaving(f"It goes on. Look again: serinus jobs watch {job}"):
        while (found := client.look(jobs.job(job), outage)) is None or found.finished_at is None:
            line = f"{found.state} {found.progress}".strip() if found else said
            if line != said:
                said = line
                screen.print(line, soft_wrap=True, markup=False)
            clock.sleep(_LOOK_SECONDS)
    finish(found, as_json=as_json, show=lambda out: out.print(show.job(found)))
    if found.state != "succeeded":
        raise typer.Exit(1)
