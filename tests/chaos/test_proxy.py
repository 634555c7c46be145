"""A network that does as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serinus.chaos.proxy import HOST, Proxy


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "echo"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client: socket.socket) -> None:
            with client:
                try:
                    while data := client.recv(100):
                        client.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


def ask(client: socket.socket) -> bytes:
    try:
        client.sendall(b"hello")
        return client.recv(100)
    except ConnectionError:
        return b""


def test_proxy_passes_cuts_stalls_and_heals(echo: Path) -> None:
    with Proxy(echo) as proxy:
        address = (HOST, proxy.port)
        client = socket.create_connection(address, timeout=5)
        assert ask(client) == b"hello"
        proxy.cut()
        assert ask(client) == b""
        client.close()
        with socket.create_connection(address, timeout=5) as refused:
            assert ask(refused) == b""
        proxy.heal()
        with socket.create_connection(address, timeout=5) as again:
            assert ask(again) == b"hello"
            proxy.stall()
            again.settimeout(0.1)
            with pytest.raises(TimeoutError):
                ask(again)
            proxy.heal()
            again.settimeout(5)
            assert again.recv(100) == b"hello"
