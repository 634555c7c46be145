"""Versions in processes and environments of their own: made and proven here, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.options import Home, Json
from serinus.cli.session import finish, progress_console

if TYPE_CHECKING:
    from serinus.settings import Settings


def add_to(commands: typer.Typer) -> None:
    """Add what concerns environments to the commands of models."""
    commands.command("environments")(environments)


def isolate(
    settings: Settings, model: str, version: str, *, with_environment: bool, as_json: bool
) -> None:
    """Have a version served by a process of its own, and show what came of it."""
    from serinus.app import App, isolation

    screen = progress_console()
    app = App(settings)
    with screen.status("starting") as status:
        made = isolation.isolate(
            app,
            model,
            version,
            lambda line: status.update(line.strip()[:100]),
            with_environment=with_environment,
        )
    attempt = made.attempts[0]
    speed = ", ".join(
        f"{rows} rows {microseconds / 1e3:.1f} ms"
        for rows, microseconds in attempt.original_us.items()
    )
    size = f", {attempt.bytes / 1e6:,.0f} MB" if attempt.bytes else ""
    told = (
        f"{model} {version} runs in a process of its own "
        f"({attempt.seconds:.1f} s{size}; {speed}).\n"
        "A gateway that has it loaded already goes on as before until it starts again."
    )
    finish(made, as_json=as_json, show=lambda out: out.print(told, soft_wrap=True))


def environments(
    context: typer.Context,
    prune: Annotated[bool, typer.Option("--prune", help="Tell which no version uses.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: remove them.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The environments of versions: what is in them, and which nobody uses."""
    from serinus.app import App, isolation
    from serinus.cli import show

    app = App(context.obj.settings(home=home))
    if prune:
        gone = isolation.prune(app, remove=yes)
        freed = sum(environment.bytes for environment in gone) / 1e6
        told = f"{len(gone)} environments, {freed:,.0f} MB: " + (
            "removed." if yes else "nobody uses them; --yes removes them."
        )
        found = {"environments": gone, "removed": yes}
        finish(found, as_json=as_json, show=lambda out: out.print(told))
        return
    listed = isolation.listing(app)
    rows = [
        (
            environment.folder.rpartition("/")[2],
            environment.version,
            f"{environment.bytes / 1e6:,.0f} MB",
            "in use" if is_used else "unused",
            ", ".join(environment.requirements),
        )
        for environment, is_used in listed
    ]
    columns = ("environment", "python", "size", "", "made of")
    finish(
        {"environments": [{"environment": item, "used": used} for item, used in listed]},
        as_json=as_json,
        show=lambda out: out.print(show.table("", columns, rows)),
    )
