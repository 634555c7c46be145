"""Clients that keep asking a gateway, each over its own connection, and note every answer."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType


@dataclass
class Load:
    """Threads that post ``body`` to ``path`` until the ``with`` block ends.

    A connection that breaks before an answer came is opened anew and the request counted as
    ``broken``: nothing was acknowledged. Any answer but 200 is kept in ``refused``.
    """

    url: str
    path: str
    body: dict[str, object]
    clients: int = 4
    answers: list[dict[str, object]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    broken: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def until_more(self, count: int, seconds: float = 30.0) -> None:
        """Wait for so many answers more."""
        wanted = len(self.answers) + count
        deadline = time.monotonic() + seconds
        while len(self.answers) < wanted:
            assert time.monotonic() < deadline, f"{len(self.answers)} answers, {self.refused[:3]}"
            time.sleep(0.005)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        host, port = self.url.removeprefix("http://").split(":")
        payload = json.dumps(self.body).encode()
        headers = {"content-type": "application/json"}
        client = http.client.HTTPConnection(host, int(port), timeout=20)
        while not self._stop.is_set():
            try:
                client.request("POST", self.path, payload, headers)
                response = client.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):
                client.close()
                self.broken += 1
                self._stop.wait(0.005)
                continue
            if response.status == 200:
                answer = json.loads(content)
                answer["header revision"] = response.headers["x-serinus-revision"]
                self.answers.append(answer)
            else:
                self.refused.append((response.status, content.decode()))
        client.close()
