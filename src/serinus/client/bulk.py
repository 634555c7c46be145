"""Sends labels and values by the million: many in one request, a few requests at a time.

What a gateway cannot take at the moment is sent again, for as long as the caller is patient; what
it refuses is told with its reason. Sending twice counts once, so that whatever was cut off may
simply be sent again.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeAlias

import msgspec

from serinus import clock
from serinus.client.predictions import Sent, Told, Untold
from serinus.errors import InvalidInput, NotFound, SerinusError, Unavailable

ROWS = 1_000
CONNECTIONS = 2
PATIENCE_SECONDS = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# Too many requests, a gateway that restarts behind a proxy, one that is busy, and one that is slow.
_PASSING = (408, 429, 502, 503, 504)


class Reply(NamedTuple):
    """What the gateway answered; ``retry_after`` in seconds, None if it does not say."""

    status: int
    body: bytes
    retry_after: float | None
    error: SerinusError | None


Post: TypeAlias = Callable[[bytes], Reply]
"""Sends one body to the gateway; raises Unavailable if nobody answers."""
Item: TypeAlias = Told | Untold
"""To be sent, or found unusable before it was; that counts as refused."""


class _Fault(msgspec.Struct):
    detail: str = ""
    remedy: str = ""


class _Rejected(msgspec.Struct):
    index: int
    error: _Fault


class _Document(msgspec.Struct):
    rejected: list[_Rejected] = []
    where: str = ""


class _UnderWay(NamedTuple):
    """A batch that is being sent, and the place of its first item."""

    start: int
    items: list[Item]
    future: Future[list[tuple[int, str]]]


class Bulk:
    """Sends what is told of many predictions.

    Args:
        post: sends one body; called by several threads at once.
        rows: of one request.
        connections: requests at a time.
        patience_seconds: how long the gateway may take nothing before that is given up.
    """

    def __init__(
        self,
        post: Post,
        *,
        rows: int = ROWS,
        connections: int = CONNECTIONS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._post = post
        self._rows = rows
        self._connections = connections
        self._patience = patience_seconds
        self._stop = threading.Event()

    def send(
        self,
        items: Iterable[Item],
        *,
        first: int = 0,
        refused: Callable[[Untold], None] | None = None,
        progress: Callable[[Sent], None] | None = None,
    ) -> Sent:
        """Send all items, in their order; what became of them.

        Whatever ends it early (Ctrl-C too), requests under way are waited for, and ``progress`` is
        told how far it came.

        Args:
            items: consumed as they are sent, never held all at once.
            first: place of the first item, if some before it were sent earlier.
            refused: called with each item that was refused, in order.
            progress: called after each request.

        Raises:
            Unavailable: the gateway took nothing for as long as the patience lasts.
            SerinusError: it refuses all such requests.
        """
        settled = _Settled(Sent(settled=first), refused, progress)
        under_way: deque[_UnderWay] = deque()
        pool = ThreadPoolExecutor(self._connections, thread_name_prefix="feedback")
        start = first
        try:
            for batch in _batches(items, self._rows):
                while len(under_way) >= 2 * self._connections:
                    settled.add(under_way[0])
                    under_way.popleft()
                under_way.append(_UnderWay(start, batch, pool.submit(self._deliver, batch)))
                start += len(batch)
            while under_way:
                settled.add(under_way[0])
                under_way.popleft()
        except BaseException:
            self._stop.set()
            for last in under_way:
                if last.future.cancel() or last.future.exception() is not None:
                    break
                settled.add(last)
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return settled.sent

    def _deliver(self, batch: Sequence[Item]) -> list[tuple[int, str]]:
        """Have a batch settled: the place in it and the reason for each item that was refused."""
        unusable = [(at, it.reason) for at, it in enumerate(batch) if isinstance(it, Untold)]
        if unusable:
            places = [at for at, it in enumerate(batch) if isinstance(it, Told)]
            told = self._send([it for it in batch if isinstance(it, Told)])
            return sorted(unusable + [(places[at], reason) for at, reason in told])
        return self._send(batch)

    def _send(self, batch: Sequence[Item]) -> list[tuple[int, str]]:
        if not batch:
            return []
        answer = self._patiently(msgspec.json.encode({"labels": batch}))
        found = _document(answer.body)
        if answer.status == 202 or found.rejected:
            return [(item.index, _reason(item.error)) for item in found.rejected]
        too_much = answer.status == 413 or (answer.status == 422 and found.where == "labels")
        if too_much and len(batch) > 1:
            half = len(batch) // 2
            later = [(half + at, reason) for at, reason in self._send(batch[half:])]
            return self._send(batch[:half]) + later
        error = answer.error or SerinusError(f"the gateway answered {answer.status}")
        about_it = isinstance(error, InvalidInput) or found.where == "prediction_id"
        if len(batch) == 1 and about_it and isinstance(error, InvalidInput | NotFound):
            return [(0, f"{error.what}. {error.remedy}".removesuffix(". "))]
        raise error

    def _patiently(self, body: bytes) -> Reply:
        """The gateway's answer, once it is one that will not change."""
        pauses = _pauses()
        deadline = clock.monotonic() + self._patience
        while True:
            fault: SerinusError
            try:
                answer = self._post(body)
            except Unavailable as error:
                fault, wanted = error, None
            else:
                if answer.status not in _PASSING:
                    return answer
                fault = answer.error or Unavailable(f"the gateway answered {answer.status}")
                wanted = answer.retry_after
            pause = max(wanted or 0.0, next(pauses))
            if clock.monotonic() + pause > deadline or self._stop.wait(pause):
                raise fault


class _Settled:
    """Adds up what became of batches, which come in order."""

    def __init__(
        self,
        sent: Sent,
        refused: Callable[[Untold], None] | None,
        progress: Callable[[Sent], None] | None,
    ) -> None:
        self.sent = sent
        self._refused = refused
        self._progress = progress

    def add(self, batch: _UnderWay) -> None:
        """Wait for a batch and count it, if it is not counted; raises what sending it raised."""
        faults = batch.future.result()
        if batch.start < self.sent.settled:
            return  # Ctrl-C came between the counting and its end.
        if self._refused is not None:
            for at, reason in faults:
                self._refused(_untold(batch.items[at], batch.start + at, reason))
        self.sent = Sent(
            settled=batch.start + len(batch.items),
            accepted=self.sent.accepted + len(batch.items) - len(faults),
            refused=self.sent.refused + len(faults),
        )
        if self._progress is not None:
            self._progress(self.sent)


def _untold(item: Item, place: int, reason: str) -> Untold:
    if isinstance(item, Untold):
        return msgspec.structs.replace(item, place=place)
    label = None if item.label is msgspec.UNSET else item.label
    value = None if item.value is msgspec.UNSET else item.value
    return Untold(place, item.prediction_id, label, value, reason)


def _batches(items: Iterable[Item], rows: int) -> Iterator[list[Item]]:
    following = iter(items)
    while batch := list(itertools.islice(following, rows)):
        yield batch


def _pauses() -> Iterator[float]:
    """How long to wait before each further try: twice as long each time, and never in step."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * (0.5 + random.random())
        pause = min(2 * pause, _LONGEST_PAUSE)


def _document(body: bytes) -> _Document:
    try:
        return msgspec.json.decode(body, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Document()


def _reason(fault: _Fault) -> str:
    return f"{fault.detail}. {fault.remedy}" if fault.remedy else fault.detail
