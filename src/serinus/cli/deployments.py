"""``serinus deployments | rollback``: watch what goes on, intervene, take it back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli import values
from serinus.cli.options import ControlUrl, Json, Limit, Reason
from serinus.cli.session import finish, first, progress_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from serinus.client import Serinus
    from serinus.client.types import Deployment, DeploymentStatus

commands = typer.Typer(help="Watch deployments and intervene.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="Its id.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="deployments")
    app.command()(rollback)


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
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """One deployment: where it is, and what the evidence says."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.deployment(deployment)
    finish(found, as_json=as_json, show=lambda out: out.print(show.status(found)))


@commands.command()
def watch(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Watch a deployment until it has ended; Ctrl-C leaves it running."""
    with context.obj.client(url) as client:
        follow(client, deployment, as_json=as_json)


def follow(client: Serinus, deployment: str, *, as_json: bool) -> None:
    """Show a deployment until it has ended."""
    screen = progress_console()
    try:
        with _looking(screen) as look:
            ended = client.wait_for(deployment, timeout=float("inf"), progress=look)
    except KeyboardInterrupt:
        screen.print(f"The deployment goes on. Look again: serinus deployments watch {deployment}")
        raise
    finish(
        ended,
        as_json=as_json,
        show=lambda out: out.print(f"{ended.deployment.phase}: {ended.deployment.reason}"),
    )


@contextmanager
def _looking(screen: Console) -> Iterator[Callable[[DeploymentStatus], None]]:
    """What shows each look: in place on a terminal, else a line whenever something moved."""
    from rich.live import Live

    from serinus.cli import show

    if screen.is_terminal:
        with Live(console=screen, auto_refresh=False) as live:
            yield lambda status: live.update(show.status(status), refresh=True)
        return
    told: list[str] = []

    def tell(status: DeploymentStatus) -> None:
        item = status.deployment
        line = f"{item.phase} at {item.position}: {item.reason}"
        if told[-1:] != [line]:
            told.append(line)
            screen.print(line, soft_wrap=True, markup=False)

    yield tell


@commands.command()
def history(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Every move of a deployment, with who and why."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = list(client.history(deployment))
    rows = [
        (show.when(item.at), item.step, item.from_phase, show.phase(item.to_phase), item.actor,
         item.reason)
        for item in found
    ]  # fmt: skip
    columns = ("at", "step", "from", "to", "by", "why")
    finish(
        {"history": found},
        as_json=as_json,
        show=lambda out: out.print(show.table("", columns, rows)),
    )


@commands.command()
def replay(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Compute every verdict again from the ledger; fails unless all are equal, bit for bit."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.replay(deployment)
    finish(found, as_json=as_json, show=lambda out: out.print(show.replay(found)))
    if not found.exact:
        raise typer.Exit(1)


@commands.command()
def whatif(
    context: typer.Context,
    deployment: Id,
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
        found = client.whatif(deployment, changes)
    finish(found, as_json=as_json, show=lambda out: out.print(show.whatif(found)))


@commands.command()
def pause(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Hold a deployment where it is; rollback stays live."""
    with context.obj.client(url) as client:
        _tell(client.pause(deployment, reason=reason), as_json=as_json)


@commands.command()
def resume(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Go on with a paused deployment; where its gate has passed, this approves it."""
    with context.obj.client(url) as client:
        _tell(client.resume(deployment, reason=reason), as_json=as_json)


@commands.command()
def promote(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Give the challenger all traffic now, whatever the evidence says."""
    with context.obj.client(url) as client:
        _tell(client.promote(deployment, reason=reason), as_json=as_json)


@commands.command()
def abort(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Give all traffic back to the champion and end the deployment."""
    with context.obj.client(url) as client:
        _tell(client.abort(deployment, reason=reason), as_json=as_json)


def _tell(deployment: Deployment, *, as_json: bool) -> None:
    finish(
        deployment,
        as_json=as_json,
        show=lambda out: out.print(
            f"{deployment.id} is {deployment.phase} at {deployment.position}. {deployment.reason}"
        ),
    )


def rollback(
    context: typer.Context,
    model: str,
    to: Annotated[
        str | None, typer.Option(help="Version to go back to; the former champion if left out.")
    ] = None,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Take a model back at once: from a live deployment, or to an earlier version."""
    with context.obj.client(url) as client:
        done = client.rollback(model, to, reason=reason)
    finish(
        done,
        as_json=as_json,
        show=lambda out: out.print(
            f"{done.model}: {done.to} has all traffic, {done.taken_back} has none "
            f"(routing revision {done.revision})."
        ),
    )
