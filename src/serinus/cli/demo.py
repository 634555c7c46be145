"""``serinus demo``: the whole loop on real data, in about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serinus.cli.options import Json
from serinus.cli.session import finish, progress_console


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    data: Annotated[
        str | None, typer.Option(help="A CSV file; breast cancer data if left out.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Leave the installation in this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train, deploy, improve, break, drift and retrain a model under live traffic."""
    from serinus.demo import story

    screen = progress_console()
    try:
        result = story.run(data=data, target=target, keep=keep, report=screen.print)
    except KeyboardInterrupt:
        screen.print("Interrupted. Everything that the demo started has been stopped.")
        raise
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(str(result)))
