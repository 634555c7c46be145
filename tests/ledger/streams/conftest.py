"""A server of its own for a test that stops it, and a network that fails when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from tests.ledger.conftest import start_server


class Machine:
    """A server that can be stopped, killed and started again at the same port."""

    def __init__(self, folder: Path, **config: str) -> None:
        self._server = start_server(folder, **config)
        self.port = self._server.port
        self._config = config
        self._folder = folder
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def kill(self) -> None:
        self._server.terminate()

    def start(self) -> None:
        self._server = start_server(self._folder, port=self.port, **self._config)

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        with redis.Redis(port=self.port) as client:
            yield client


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Starts a server with the configuration that is given."""
    started: list[Machine] = []

    def start(**config: str) -> Machine:
        made = Machine(tmp_path / f"valkey-{len(started)}", **config)
        started.append(made)
        return made

    yield start
    for one in started:
        one.kill()


class Network:
    """Carries bytes to a server, and cuts a connection as it is told.

    ``before``: the next request does not arrive. ``after``: it does, its answer does not.
    ``silent``: it is neither answered nor refused.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.fault = ""
        self.faults = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Shut first: a thread that waits in accept is woken.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            threading.Thread(target=self._answer, args=(client, server), daemon=True).start()
            while data := client.recv(1 << 20):
                if self.fault == "before":
                    self._cut(client, server)
                    return
                server.sendall(data)
        self._shut(server)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 20):
                if self.fault == "after":
                    self._cut(client, server)
                    return
                if self.fault != "silent":
                    client.sendall(data)
        self._shut(client)

    def _cut(self, *ends: socket.socket) -> None:
        self.faults -= 1
        if self.faults <= 0:
            self.fault = ""
        self._shut(*ends)

    def _shut(self, *ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def fail(self, fault: str, times: int = 1) -> None:
        """From now on, so many times."""
        self.faults, self.fault = times, fault


@pytest.fixture
def network(redis_url: str) -> Iterator[tuple[Network, str]]:
    """A network before the shared server, and the address of an empty ledger through it."""
    plain, _, options = redis_url.partition("?")
    between = Network(int(plain.rpartition(":")[2].partition("/")[0]))
    yield between, f"redis://127.0.0.1:{between.port}/0?{options}"
    between.close()
