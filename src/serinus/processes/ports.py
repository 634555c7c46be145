"""Listening on a port, or saying in time why that cannot be."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import suppress

from serinus.errors import InvalidInput

# Below what Linux and others give to outgoing connections.
_LOWEST_FREE, _LOWEST_OUTGOING = 20_000, 32_000
_TRIES = 50


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A socket that listens on ``host:port``.

    Args:
        host: the address.
        port: the port; 0 is any free one.
        setting: the setting that the port came from, for the message.

    Raises:
        InvalidInput: the port is taken or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        option = "--" + setting.replace("_", "-")
        if error.errno == errno.EADDRINUSE:
            what = f"port {port} on {host} is taken by another program"
        else:
            what = f"port {port} on {host} cannot be used ({error.strerror})"
        raise InvalidInput(
            what,
            where=setting,
            remedy=f"Stop that program, or choose another port with {option} "
            f"or SERINUS_{setting.upper()}.",
        ) from error
    return listener


def check(host: str, port: int, *, setting: str) -> None:
    """Do nothing if the port is free now.

    Raises:
        InvalidInput: it is not.
    """
    listen(host, port, setting=setting).close()


def free(host: str) -> int:
    """A port that nobody listens on at this moment.

    It is none of those that the system gives to outgoing connections: between this look and its
    use, the next client of anything might get it.

    Raises:
        InvalidInput: the address cannot be used, or every port that was tried is taken.
    """
    for _ in range(_TRIES - 1):
        port = random.SystemRandom().randrange(_LOWEST_FREE, _LOWEST_OUTGOING)
        with suppress(InvalidInput):
            check(host, port, setting="host")
            return port
    with listen(host, 0, setting="host") as listener:
        last: int = listener.getsockname()[1]
    return last
