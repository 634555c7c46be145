"""Listening on a port, or saying in time why that cannot be."""

from __future__ import annotations

import errno
import socket

from serinus.errors import InvalidInput


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
    """A port that nobody listens on at this moment."""
    with listen(host, 0, setting="host") as listener:
        port: int = listener.getsockname()[1]
    return port
