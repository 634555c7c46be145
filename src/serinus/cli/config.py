"""``serinus config``: every setting, its value, and where that came from."""

from __future__ import annotations

import typer

from serinus.cli.options import Home, Json
from serinus.cli.session import finish

commands = typer.Typer(help="The configuration in force.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="config")


@commands.command()
def show(context: typer.Context, home: Home = None, as_json: Json = False) -> None:
    """Every setting with its value, its origin and its meaning."""
    from serinus import settings
    from serinus.cli import show as tables

    _, origins = settings.load(**context.obj.options(home=home))
    rows = [(item.name, _concealed(item.name, item.value), item.origin, item.doc)
            for item in origins]  # fmt: skip
    finish(
        {name: {"value": value, "origin": origin, "doc": doc} for name, value, origin, doc in rows},
        as_json=as_json,
        show=lambda out: out.print(tables.table("", ("setting", "value", "origin", "is"), rows)),
    )


def _concealed(name: str, value: object) -> object:
    """A value for everybody's eyes: a password in an address is not."""
    text = str(value)
    if not name.endswith(("_url", "_uri")) or "@" not in text:
        return value if isinstance(value, int | float | bool) else text
    scheme, _, rest = text.partition("://")
    user, _, place = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}:***@{place}" if ":" in user else text
