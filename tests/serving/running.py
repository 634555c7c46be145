"""A gateway in processes of its own, as ``serinus gateway`` starts it, for tests over real HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx
import msgspec

from serinus import wire
from serinus.ledger.files.reader import Reader

_START = """
import json, logging, sys
from pathlib import Path
from serinus.serving.workers import supervisor
from serinus.serving.types import GatewayOptions
logging.basicConfig(level=logging.INFO)
given = json.loads(sys.argv[1])
count = given.pop("workers")
ledger = given["ledger"]
given["ledger"] = ledger if "://" in ledger else Path(ledger)
given["routing_table"] = Path(given["routing_table"])
supervisor.run(GatewayOptions(**given), workers=count)
"""


class Gateway:
    """Starts a gateway on a free port and stops it at the end of the ``with`` block."""

    def __init__(self, home: Path, port: int, *, workers: int = 1, **options: object) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.table = home / "routing.json"
        self.ledger = home / "ledger"
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / "gateway.out"
        self._given = {
            "port": port,
            "routing_table": str(self.table),
            "ledger": str(self.ledger),
            "workers": workers,
            **options,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=30)

    @property
    def reader(self) -> Reader:
        return Reader(self.ledger)

    def publish(self, revision: int, *routes: wire.Route) -> None:
        """Replace the routing table as the control plane does."""
        table = wire.RoutingTable(revision, {route.model: route for route in routes})
        part = self.table.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(table))
        part.replace(self.table)

    def begin(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _START, msgspec.json.encode(self._given).decode()],
            stdout=log,
            stderr=log,
        )

    def start(self) -> Gateway:
        with self.log.open("ab") as log:
            self.process = self.begin(log)
        self.until(lambda: self.get("/health/live").status_code == 200)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def get(self, path: str) -> httpx.Response:
        # A connection of its own: whichever worker is free takes it.
        return httpx.get(self.url + path, timeout=10)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=headers)

    def until(self, holds: object, seconds: float = 30.0) -> None:
        """Wait until ``holds()`` is true; what it raises while the gateway starts is no answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process is None or self.process.poll() is None, self.log.read_text()
            try:
                if holds():  # type: ignore[operator]
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.01)
        raise AssertionError(self.log.read_text())

    def until_revision(self, revision: int) -> None:
        """Wait until a routing table is in force and all that it names was loaded."""

        def holds() -> bool:
            state = self.get("/health").json()
            return state["revision"] == revision and not state["loading"]

        self.until(holds)

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill_worker(self) -> int:
        pid = self.workers()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
