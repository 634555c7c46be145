"""``serinus models``: list, show, compare, register, package, promote."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from serinus.cli import isolation
from serinus.cli.options import ControlUrl, Home, Json, Limit, Reason
from serinus.cli.session import finish, first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, RenderableType

    from serinus.client import Serinus
    from serinus.client.types import Version
    from serinus.wire import Package

Data = Annotated[
    str | None,
    typer.Option(help="Real rows to prove its ONNX graph on: a file beside the control plane."),
]

commands = typer.Typer(help="Models and their versions.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    isolation.add_to(commands)
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

    def tell(out: Console) -> None:
        out.print(show.models([found]), show.versions(versions), sep="\n")
        for line in _staged(versions, client.gateway_url):
            # A command over two lines cannot be copied.
            out.print(line, soft_wrap=True, markup=False)

    finish({"model": found, "versions": versions}, as_json=as_json, show=tell)


def _staged(versions: Sequence[Version], gateway: str) -> Iterator[str]:
    """How to ask the version in Staging, before it has any traffic."""
    import msgspec

    for version in versions:
        if version.stage == "Staging":
            body = msgspec.json.encode({"features": version.manifest.example}).decode()
            yield f"\nTry {version.version} in Staging, unseen by production:"
            yield (
                f"curl --header 'Content-Type: application/json' --data {shlex.quote(body)} "
                f"{gateway}/staging/models/{quote(version.model, safe='')}/predict"
            )
            return


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
    *,
    data: Data = None,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Register a finished MLflow model as the next version."""
    with context.obj.client(url) as client:
        made = client.register(
            model, artifact, target=target, version=version, description=description, data=data
        )
        served = "" if as_json else _served(client, made)
    finish(
        made,
        as_json=as_json,
        show=lambda out: out.print(
            f"Registered {made.model} {made.version}. Bring it to traffic: "
            f"serinus deploy {made.model} {made.version}",
            *([served] if served else []),
            sep="\n",
            soft_wrap=True,
            markup=False,
        ),
    )


def _served(client: Serinus, made: Version) -> str:
    """In which form a new version is served, and why not as ONNX, in one line."""
    from serinus.errors import SerinusError

    try:
        found = client.package(made.model, made.version)
    except SerinusError:
        return ""  # it is registered all the same, and `models package` tells what is wrong
    if found.form == "onnx":
        return _sentence(found)
    command = f"serinus models package {made.model} {made.version}"
    if not found.attempts:
        return f"{_sentence(found)} Nothing was converted to ONNX. To try: {command} --again"
    why = found.attempts[-1].outcome
    more = "" if command in why else f". All that was tried: {command}"
    return f"Served as {found.form}, not as ONNX: {why}{more}"


@commands.command("package")
def package(
    context: typer.Context,
    model: str,
    version: str,
    *,
    data: Data = None,
    quantize: Annotated[
        float | None,
        typer.Option(help="Try 8-bit weights, and use them if no answer differs by more.", min=0),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Convert and prove it anew.")] = False,
    process: Annotated[
        bool, typer.Option("--process", help="Run it in a process of its own, on this machine.")
    ] = False,
    environment: Annotated[
        bool, typer.Option("--environment", help="The same, with the packages it asks for.")
    ] = False,
    home: Home = None,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """In which form a version is served and what was tried; with rows, prove it on them."""
    if process or environment:
        settings = context.obj.settings(home=home)
        isolation.isolate(settings, model, version, with_environment=environment, as_json=as_json)
        return
    with context.obj.client(url) as client:
        if again or data is not None or quantize is not None:
            found = client.renew_package(model, version, data=data, quantize=quantize)
        else:
            found = client.package(model, version)
    finish(found, as_json=as_json, show=lambda out: out.print(*_package(found), sep="\n"))


def _package(found: Package) -> list[RenderableType]:
    """A package as a sentence and a table of what was tried."""
    from serinus.cli import show

    told = _sentence(found)
    rows = [
        (
            tried.form,
            ", ".join(f"{gain:g}x ({size})" for size, gain in tried.speedup.items()) or "-",
            f"{tried.bytes / 1e3:,.1f} kB" if tried.bytes else "-",
            "-" if tried.difference is None else f"{tried.difference:.2g}",
            f"{tried.rows} + {tried.variations}",
            f"{tried.seconds:.1f} s",
            tried.outcome,
        )
        for tried in found.attempts
    ]
    columns = ("form", "speed (rows)", "size", "difference", "rows + varied", "took", "outcome")
    return [told, show.table("", columns, rows)] if rows else [told, "Nothing was tried."]


def _sentence(found: Package) -> str:
    if found.form == "onnx":
        return (
            f"Served as ONNX (opset {found.opset}): the same on {found.rows} real rows, "
            f"largest difference {found.difference:.2g} of {found.tolerance:g} tolerated."
        )
    if found.form == "process":
        return f"Served in a process of its own{found.python and ', with ' + found.python}."
    return f"Served as {found.form}."


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
        before = client.version(model, version).stage
        moved = client.promote_version(model, version, stage=stage.capitalize(), reason=reason)
    since = "already" if moved.stage == before else "now"
    told = f"{moved.model} {moved.version} stands in {moved.stage} {since}."
    finish(moved, as_json=as_json, show=lambda out: out.print(told))
