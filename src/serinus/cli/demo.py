"""``serinus demo``: the whole loop on real data, in about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.options import Json
from serinus.cli.session import finish, progress_console
from serinus.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from serinus.demo.story import DemoResult

FOLDER = Path("serinus-demo")


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(demo)


def demo(
    data: Annotated[
        str | None, typer.Option(help="A CSV or Parquet file; breast cancer data if left out.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help=f"Leave the installation in ./{FOLDER}.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train, deploy, improve, break, drift and retrain a model under live traffic."""
    from serinus.demo import story

    home = FOLDER.absolute() if keep else None
    if home is not None and home.exists():
        raise InvalidInput(
            "the folder of an earlier demo is there",
            where=str(home),
            remedy="Look into it with `serinus --home serinus-demo up`, or remove it.",
        )
    screen = progress_console()

    def report(line: str) -> None:
        screen.print(line, soft_wrap=True, markup=False)

    try:
        result = story.run(data=data, target=target, keep=home, report=report)
    except KeyboardInterrupt:
        screen.print("Interrupted. Everything that the demo started has been stopped.")
        raise
    finish(result.as_dict(), as_json=as_json, show=lambda out: out.print(_facts(result)))
    if not result.complete:
        raise typer.Exit(1)


def _facts(result: DemoResult) -> Table:
    from serinus.cli import show

    facts = {name: value for name, value in result.as_dict().items() if name != "verdicts"}
    rows = [(name.replace("_", " "), value) for name, value in facts.items() if value != ""]
    return show.table("What happened", ("", ""), rows)
