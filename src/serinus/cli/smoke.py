"""``serinus smoke``: a check of a running installation that anyone can run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli.options import ControlUrl, Json
from serinus.cli.session import finish
from serinus.errors import SerinusError

if TYPE_CHECKING:
    from serinus.client import Serinus

_NO_EXAMPLE = "no example, skipped"


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(smoke)


def smoke(
    context: typer.Context,
    endpoint: Annotated[
        str | None, typer.Option(help="Where the gateway answers.", show_default=False)
    ] = None,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Ask every part of a running installation for one thing that it must be able to do."""
    from serinus.cli import show

    with context.obj.client(url, endpoint) as client:
        checks = list(_checks(client))
    passed = all(check["passed"] for check in checks)
    rows = [
        (check["name"], _word(check["passed"], check["detail"]), check["detail"])
        for check in checks
    ]
    finish(
        {"passed": passed, "checks": checks},
        as_json=as_json,
        show=lambda out: out.print(show.table("", ("check", "", "found"), rows)),
    )
    if not passed:
        raise typer.Exit(1)


def _word(passed: bool, detail: str) -> str:
    if detail == _NO_EXAMPLE:
        return "-"
    return "ok" if passed else "FAILED"


def _checks(client: Serinus) -> Iterator[dict[str, Any]]:
    yield _check("control plane", lambda: _healthy(client))
    yield _check("gateway", lambda: str(client.gateway_health().get("status", "answers")))
    models = _check("routing", lambda: _routed(client))
    yield models
    if models["passed"]:
        for name in sorted(client.routing().routes):
            yield _check(f"prediction by {name}", partial(_predicted, client, name))


def _check(name: str, attempt: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "passed": True, "detail": attempt()}
    except SerinusError as error:
        return {"name": name, "passed": False, "detail": str(error)}


def _healthy(client: Serinus) -> str:
    health = client.system_health()
    failing = [f"{part.name}: {part.detail}" for part in health.parts if part.status != "ok"]
    if failing:
        raise SerinusError("; ".join(failing))
    return f"version {health.version}, {len(health.parts)} parts ok"


def _routed(client: Serinus) -> str:
    table = client.routing()
    return f"revision {table.revision}, {len(table.routes)} model{'s'[: len(table.routes) != 1]}"


def _predicted(client: Serinus, model: str) -> str:
    """Ask the champion for its own example; a forced arm leaves no evidence behind."""
    champion = client.routing().routes[model].champion.version
    manifest = client.version(model, champion).manifest
    if not manifest.example:
        return _NO_EXAMPLE
    answer = client.predict(manifest.example, model=model, arm="champion")
    if answer.version != champion:
        raise SerinusError(f"version {answer.version} answered instead of {champion}")
    return f"{manifest.target} = {answer.prediction} by {answer.version}"
