"""``serinus up | control | gateway | worker``: the processes of an installation."""

from __future__ import annotations

from collections.abc import Callable

import typer

from serinus.cli.options import ControlPort, GatewayPort, Home, Host, Json, Supervised, Workers
from serinus.cli.session import Session, finish, progress_console


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, control, gateway, worker):
        app.command()(command)


def up(
    context: typer.Context,
    home: Home = None,
    host: Host = None,
    control_port: ControlPort = None,
    gateway_port: GatewayPort = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Start everything on this machine and look after it: control plane, gateway, worker."""
    from serinus.processes import up as installation

    session: Session = context.obj
    given = session.options(
        home=home,
        host=host,
        control_port=control_port,
        gateway_port=gateway_port,
        gateway_workers=workers,
    )
    settings = session.settings(**given)

    def ready(urls: dict[str, str]) -> None:
        finish(
            urls,
            as_json=as_json,
            show=lambda console: console.print(
                f"[bold]Serinus is up.[/bold]\n"
                f"  dashboard and API  {urls['control_url']}  (calls: /docs)\n"
                f"  gateway            {urls['gateway_url']}/predict\n"
                f"  state              {urls['home']}\n"
                f"Ctrl-C stops everything."
            ),
        )

    installation.run(settings, given, ready=ready)
    progress_console().print("Everything has stopped.")


def control(
    context: typer.Context,
    home: Home = None,
    host: Host = None,
    control_port: ControlPort = None,
    supervised: Supervised = False,
) -> None:
    """Start the control plane alone: API, dashboard, controller, monitoring."""
    from serinus.processes import control as process

    settings = context.obj.settings(home=home, host=host, control_port=control_port)
    process.run(settings, ready=_hold(supervised))


def gateway(
    context: typer.Context,
    home: Home = None,
    host: Host = None,
    gateway_port: GatewayPort = None,
    workers: Workers = None,
    supervised: Supervised = False,
) -> None:
    """Start the gateway alone: it answers predictions from the last routing table."""
    from serinus.processes import gateway as process

    settings = context.obj.settings(
        home=home, host=host, gateway_port=gateway_port, gateway_workers=workers
    )
    _hold(supervised)
    process.run(settings)


def worker(context: typer.Context, home: Home = None, supervised: Supervised = False) -> None:
    """Start a worker alone: it trains and retrains as jobs ask."""
    from serinus.processes import worker as process

    process.run(context.obj.settings(home=home), ready=_hold(supervised))


def _hold(supervised: bool) -> Callable[[], None]:
    """What to call when ready; a supervised process also ends with its supervisor."""
    if not supervised:
        return lambda: None
    from serinus.processes import lifeline

    lifeline.hold()
    return lifeline.ready
