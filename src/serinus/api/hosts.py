"""By which names the control plane may be asked: no page has its own name lead here.

The owner of a name decides where it leads, and may turn it to this machine once a page of his is
open (DNS rebinding). The browser then takes whoever answers here for the page's own site, and lets
the page read and change everything. But it asks by that name, which no page can hide. So whoever
asks by a name that is not ours gets nothing, not even to look. An address leads nowhere else, and
who tells no name at all is no browser.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serinus.api import problems
from serinus.errors import Misdirected

_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[\]]*)(:\d*)?")


class Hosts:
    """Lets through what is asked by a name of ours.

    Args:
        app: what is asked.
        names: of :func:`names_of`.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a problem document what is asked by another name."""
        told = Headers(scope=scope).getlist("host") if scope["type"] == "http" else []
        if len(told) > 1 or not all(is_ours(host, self._names) for host in told):
            answer = problems.response(_misdirected(", ".join(told)).problem())
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def names_of(bound: str, allowed: str) -> frozenset[str]:
    """The names by which this machine's control plane may be asked.

    Args:
        bound: the host that it listens on.
        allowed: further names with commas between; ``*.example.org`` is every name below
            ``example.org``, ``*`` any name.
    """
    machine = socket.gethostname()
    names = ("localhost", machine, machine.partition(".")[0], bound, *allowed.split(","))
    return frozenset(map(_plain, names)) - {""}


def is_ours(host: str, names: frozenset[str]) -> bool:
    """Whether a ``Host`` header asks for an address, or by one of these names."""
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return False
    name = _plain(found["name"])
    above = name.split(".")[1:]
    below = {"*." + ".".join(above[start:]) for start in range(len(above))}
    return "*" in names or _is_address(name) or not names.isdisjoint({name, *below})


def _plain(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _misdirected(told: str) -> Misdirected:
    return Misdirected(
        "this is asked by a name that is not the control plane's",
        where=f"host {told}"[:200],
        remedy="Ask by localhost or an IP address; or, if the name is yours, add it to the "
        "control plane's setting allowed_hosts (SERINUS_ALLOWED_HOSTS).",
    )
