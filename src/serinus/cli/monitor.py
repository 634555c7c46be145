"""``serinus monitor``: how models do, how far their inputs moved, what is recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from serinus.cli.options import ControlUrl, Json, Limit
from serinus.cli.session import finish, first

if TYPE_CHECKING:
    from rich.console import Console

commands = typer.Typer(help="Performance, drift and recommendations.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="monitor")


@commands.command()
def status(context: typer.Context, url: ControlUrl = None, as_json: Json = False) -> None:
    """Whether monitoring runs, and what it recommends for each model, with the reasons."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.monitoring()
        advice = {name: client.recommendation(name) for name in found.models}
    rows = [(name, item.action, " ".join(item.reasons)) for name, item in advice.items()]
    finish(
        {"monitoring": found, "recommendations": advice},
        as_json=as_json,
        show=lambda out: out.print(
            f"Monitoring {'runs' if found.running else 'does not run'}.",
            show.table("", ("model", "recommendation", "why"), rows),
            sep="\n",
        ),
    )


@commands.command()
def drift(
    context: typer.Context,
    model: str,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Drift by window, newest first."""
    with context.obj.client(url) as client:
        found = first(client.drift_history(model), limit)
    _finish("drift", found, as_json=as_json)


@commands.command()
def performance(
    context: typer.Context,
    model: str,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Performance by window from the labels that came, newest first."""
    with context.obj.client(url) as client:
        found = first(client.performance_history(model), limit)
    _finish("performance", found, as_json=as_json, shown=[_with_measures(item) for item in found])


@commands.command()
def profile(
    context: typer.Context,
    model: str,
    *,
    version: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    hours: Annotated[float, typer.Option(help="How far to look back.", min=0)] = 24.0,
    resolution: Annotated[
        Literal["minute", "hour", "day", "all"], typer.Option(help="What is summed up in one.")
    ] = "all",
    limit: Limit = 100,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """What the traffic looked like: missing values, values out of range, unseen categories."""
    from datetime import timedelta

    from serinus import clock
    from serinus.cli import show

    since = clock.now() - timedelta(hours=hours)
    with context.obj.client(url) as client:
        asked = client.profiles(model, version=version, since=since, resolution=resolution)
        found = first(asked, limit)

    def present(out: Console) -> None:
        if not found:
            out.print("No prediction was read in that time.")
        elif resolution == "all":
            for item in found:
                out.print(show.profile(item))
        else:
            out.print(show.profiles(found))

    finish({"profiles": found}, as_json=as_json, show=present)


def _with_measures(window: dict[str, Any]) -> dict[str, Any]:
    """A window with its measures as columns: value, interval, and what its test had given."""
    columns = {
        measure["name"]: f"{measure['value']:.4g} ({measure['low']:.4g} to {measure['high']:.4g})"
        + ("" if measure["test"] is None else f", test {measure['test']:.4g}")
        for measure in window["measures"]
    }
    return window | columns


def _finish(
    name: str,
    items: list[dict[str, Any]],
    *,
    as_json: bool,
    shown: list[dict[str, Any]] | None = None,
) -> None:
    from serinus.cli import show

    told = shown or items
    columns = [key for key, value in (told[0] if told else {}).items() if _short(value)]
    rows = [[_text(item.get(key)) for key in columns] for item in told]
    finish(
        {name: items},
        as_json=as_json,
        show=lambda out: out.print(
            show.table("", columns, rows) if items else "No window has closed yet."
        ),
    )


def _short(value: object) -> bool:
    return not isinstance(value, dict | list)


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
