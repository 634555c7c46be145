"""Live traffic: requests at a steady rate over kept connections, labels some time later."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from serinus import clock
from serinus.demo.rows import Pool
from serinus.wire import Answer

_LABEL_PAUSE = 0.1
_LABELS_AT_ONCE = 500
_RETRY_PAUSE = 0.05


class _Answered(msgspec.Struct):
    prediction_id: str
    version: str


class _Accepted(msgspec.Struct):
    accepted: int = 0


@dataclass
class Tally:
    """What became of the requests so far; ``labelled`` are those whose label was accepted."""

    requests: int = 0
    dropped: int = 0
    acknowledged: list[str] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    labelled: list[str] = field(default_factory=list)


class Traffic:
    """Clients that ask for predictions until they are told to stop.

    Args:
        gateway_url: where the gateway answers.
        model: whom to ask.
        pool: the rows to send; :meth:`switch` replaces it while traffic flows.
        rate: requests a second, of all clients together.
        label_delay: seconds from an answer to its label.
        clients: how many send at the same time.
    """

    def __init__(
        self,
        gateway_url: str,
        model: str,
        pool: Pool,
        *,
        rate: float,
        label_delay: float,
        clients: int = 4,
    ) -> None:
        self._address = urlsplit(gateway_url).netloc
        self._model = model
        self._pool = pool
        self._pause = clients / rate
        self._label_delay = label_delay
        self._due: deque[tuple[float, str, Answer]] = deque()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._send, args=(seed,), daemon=True)
            for seed in range(clients)
        ]
        self._threads.append(threading.Thread(target=self._label, daemon=True))
        self.tally = Tally()

    def start(self) -> None:
        """Let traffic flow."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Tally:
        """End the traffic, send what labels are due, and say what became of the requests."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)
        return self.tally

    def switch(self, pool: Pool) -> None:
        """From now on send rows of another pool."""
        self._pool = pool

    def _send(self, seed: int) -> None:
        chance = random.Random(seed)
        connection = http.client.HTTPConnection(self._address, timeout=10)
        path = f"/models/{self._model}/predict"
        following = clock.monotonic()
        while not self._stop.is_set():
            pool = self._pool
            row = chance.randrange(len(pool))
            answer = self._ask(connection, path, {"features": pool.features[row]})
            with self._lock:
                self.tally.requests += 1
                if answer is None:
                    self.tally.dropped += 1
                else:
                    self.tally.acknowledged.append(answer.prediction_id)
                    self.tally.versions[answer.version] += 1
                    label = (clock.monotonic(), answer.prediction_id, pool.labels[row])
                    self._due.append(label)
            if answer is None:
                self._stop.wait(_RETRY_PAUSE)
            following = max(following + self._pause, clock.monotonic() - 1.0)
            self._stop.wait(max(0.0, following - clock.monotonic()))
        connection.close()

    def _ask(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, object]
    ) -> _Answered | None:
        try:
            connection.request(
                "POST", path, msgspec.json.encode(body), {"content-type": "application/json"}
            )
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        return msgspec.json.decode(content, type=_Answered) if response.status == 200 else None

    def _label(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=10)
        while not self._stop.wait(_LABEL_PAUSE):
            self._send_labels(connection, clock.monotonic() - self._label_delay)
        connection.close()

    def _send_labels(self, connection: http.client.HTTPConnection, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            batch: list[tuple[float, str, Answer]] = []
            with self._lock:
                while self._due and self._due[0][0] <= until and len(batch) < _LABELS_AT_ONCE:
                    batch.append(self._due.popleft())
            labels = [{"prediction_id": id, "label": label} for _, id, label in batch]
            try:
                connection.request(
                    "POST",
                    "/feedback",
                    msgspec.json.encode({"labels": labels}),
                    {"content-type": "application/json"},
                )
                response = connection.getresponse()
                answer = msgspec.json.decode(response.read(), type=_Accepted)
            except (OSError, http.client.HTTPException):
                # Labels are idempotent: the same ones are sent again.
                connection.close()
                with self._lock:
                    self._due.extendleft(reversed(batch))
                return
            if answer.accepted == len(batch):
                self.tally.labelled += [id for _, id, _ in batch]
