"""``serinus up``: the whole installation on one machine, as supervised child processes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from serinus import logs
from serinus.processes import home, ports
from serinus.processes.signals import on_signal
from serinus.processes.supervisor import Program, Supervisor
from serinus.settings import Settings

log = structlog.get_logger(__name__)


def run(
    settings: Settings,
    given: Mapping[str, Any],
    *,
    ready: Callable[[dict[str, str]], None] = lambda urls: None,
) -> None:
    """Start control plane, gateway and worker, restart what dies, stop all on SIGTERM or SIGINT.

    Args:
        settings: the installation.
        given: the settings that were given on the command line, passed on to the children; the
            rest they find where this process found it.
        ready: called once everything answers, with the addresses.

    Raises:
        InvalidInput: a port is taken or the state folder cannot be written; nothing was started.
        Conflict: another one runs in the same folder.
        Unavailable: something was not ready in time; everything was stopped again.
    """
    logs.configure(settings.log_level, process="up")
    home.prepare(settings.home)
    ports.check(settings.host, settings.control_port, setting="control_port")
    ports.check(settings.host, settings.gateway_port, setting="gateway_port")
    stop = threading.Event()
    on_signal(stop)
    supervisor = Supervisor(programs(settings, given), stop)
    with home.held(settings.home):
        try:
            if supervisor.start():
                urls = {"control_url": settings.control_url, "gateway_url": settings.gateway_url}
                ready({**urls, "home": str(settings.home)})
                supervisor.run()
        finally:
            supervisor.end()


def programs(settings: Settings, given: Mapping[str, Any]) -> list[Program]:
    """The installation's programs; the worker, whom nobody waits for, leaves the rest the cores."""
    base = [sys.executable, "-m", "serinus"]
    for name, value in given.items():
        base += ["--set", f"{name}={value}"]
    probe = f"{settings.gateway_url}/health/live"
    return [
        Program("control", [*base, "control", "--supervised"]),
        Program("gateway", [*base, "gateway", "--supervised"], probe),
        Program("worker", [*base, "worker", "--supervised"], after=["gateway"]),
    ]
