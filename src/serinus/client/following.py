"""Following deployments: by server-sent events, by looking again and again where those do not come.

A control plane may be away for a while, as when it restarts: the follower is told, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from serinus import clock
from serinus.client.calls import path_of
from serinus.client.transport import Serinus, error_from
from serinus.client.types import DeploymentStatus
from serinus.client.watching import Glance, Message, glance_of, messages
from serinus.errors import SerinusError, Unavailable

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
"""How long a control plane that has answered once may be away."""

# The server gives a sign every five seconds; who is silent for longer is gone, or a proxy keeps
# the stream to itself.
_SILENT_SECONDS = 12.0
_LOOK_SECONDS = 1.0
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 2.0


class Away(msgspec.Struct, frozen=True):
    """The control plane does not answer, since so many seconds."""

    seconds: float
    why: str


class _NoStream(Exception):
    """Whatever answers there sends no events."""


class Following(Generic[T]):
    """What comes of a stream, one value after the other, until it ends or nobody reads on.

    Args:
        client: of the installation.
        path: of the stream.
        event: the name of the events that carry a value.
        decode: the value of an event's data.
        look: the present values, for where no events come.
        over: whether a value that was looked at is the last one.
        patience: seconds that the control plane may be away.
    """

    def __init__(
        self,
        client: Serinus,
        path: str,
        event: str,
        decode: Callable[[bytes], T],
        look: Callable[[], Iterable[T]],
        over: Callable[[T], bool],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._client = client
        self._path = path
        self._event = event
        self._decode = decode
        self._look = look
        self._over = over
        self._patience = patience
        self._position = ""
        self._answered = False
        self._polling = False

    def __iter__(self) -> Iterator[T | Away]:
        """The values; :class:`Away` as often as the control plane could not be reached.

        Raises:
            Unavailable: nobody answers there, or nobody for longer than the patience.
            SerinusError: what was refused, such as NotFound.
        """
        lost: float | None = None
        wait = _FIRST_WAIT
        while True:
            try:
                for value in self._looks() if self._polling else self._events():
                    lost, wait = None, _FIRST_WAIT
                    if value is None:
                        return
                    yield value
                # The process behind the stream is about to end.
                error: SerinusError = Unavailable("the control plane ended the stream")
            except _NoStream:
                self._polling = True
                continue
            except Unavailable as unavailable:
                error = unavailable
            lost = clock.monotonic() if lost is None else lost
            away = clock.monotonic() - lost
            if not self._answered or away > self._patience:
                raise error
            yield Away(away, error.what)
            clock.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _events(self) -> Iterator[T | None]:
        """The values of one connection; None is the end of all."""
        heard = False
        try:
            with self._client.stream(self._path, self._position, _SILENT_SECONDS) as answer:
                kind = answer.headers.get("content-type", "")
                if answer.is_error:
                    raise error_from(answer.status_code, answer.read())
                if not kind.startswith("text/event-stream"):
                    raise _NoStream
                self._answered = True
                for message in messages(answer.iter_lines()):
                    heard = True
                    if message.name == "end":
                        yield None
                    if message.name == self._event:
                        yield self._value(message)
        except httpx.ReadTimeout as error:
            if not heard:
                # Something between holds the events back.
                raise _NoStream from error
            raise Unavailable("the control plane fell silent") from error
        except httpx.TransportError as error:
            raise self._client.unreachable(error) from error

    def _value(self, message: Message) -> T:
        self._position = message.id or self._position
        return self._decode(message.data)

    def _looks(self) -> Iterator[T | None]:
        while True:
            found = list(self._look())
            self._answered = True
            yield from found
            if found and all(self._over(value) for value in found):
                yield None
            clock.sleep(_LOOK_SECONDS)


def deployment(
    client: Serinus, id: str, *, patience: float = PATIENCE_SECONDS
) -> Following[DeploymentStatus]:
    """A deployment's status, at once and whenever it changed, until it has ended."""
    return Following(
        client,
        path_of("deployments", id, "events"),
        "status",
        msgspec.json.Decoder(DeploymentStatus).decode,
        lambda: [client.deployment(id)],
        lambda status: not status.deployment.live,
        patience,
    )


def all_deployments(
    client: Serinus, model: str | None = None, *, patience: float = PATIENCE_SECONDS
) -> Following[Glance]:
    """Every live deployment in a line, at once and whenever one changed; it never ends."""
    return Following(
        client,
        "/deployments/events" + (f"?model={quote(model)}" if model else ""),
        "glance",
        msgspec.json.Decoder(Glance).decode,
        lambda: (
            glance_of(status)
            for status in client.statuses()
            if model in (None, status.deployment.model)
        ),
        lambda _: False,
        patience,
    )
