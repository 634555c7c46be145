"""The server of a ledger: its connection, its keys, and its refusals in our own words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.retry import Retry

from serinus.errors import InvalidInput, Unavailable

PREFIX = "serinus:ledger"
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""How long an answer is waited for: a server that is silent longer counts as unreachable."""

_OPTIONS = {"prefix", "db", "username", "password"}
_REMEDIES: tuple[tuple[type[RedisError], str], ...] = (
    (AuthenticationError, "Correct the user and the password in ledger_url."),
    (NoPermissionError, "Let the user of ledger_url use streams, sets, strings and scripts."),
    (BusyLoadingError, "Wait until the server has loaded its data."),
    (OutOfMemoryError, "Give the server more memory, or remove old segments from the ledger."),
    (ReadOnlyError, "Name the primary in ledger_url: this server is a replica."),
)
_UNREACHABLE = "Start the server of ledger_url, and see that this host reaches it."


class Server:
    """A connection to the server, made when it is first needed and again when it was lost.

    Args:
        address: such as ``redis://:password@host:6379/0``; also ``rediss://`` and ``unix://``.
        retries: how often a command is sent again after its connection was lost.

    Raises:
        InvalidInput: the address is none.
    """

    def __init__(self, address: str, *, retries: int) -> None:
        parts = urlsplit(address)
        options = dict(parse_qsl(parts.query))
        for name in options:
            if name not in _OPTIONS and not name.startswith("ssl_"):
                raise InvalidInput(
                    f"{name!r} is no option of a ledger's address",
                    where="ledger_url",
                    remedy=f"There is {', '.join(sorted(_OPTIONS))}, and ssl_…",
                )
        prefix = options.pop("prefix", PREFIX)
        host = parts.netloc.rpartition("@")[2]
        self.place = f"{parts.scheme}://{host}{parts.path}"
        self.writers = f"{prefix}:writers"
        self.closed = f"{prefix}:closed"
        self._prefix = prefix
        try:
            # Its commands are partly untyped.
            self.client: Any = redis.Redis.from_url(
                parts._replace(query=urlencode(options, quote_via=quote)).geturl(),
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=ANSWER_SECONDS,
                socket_keepalive=True,
                retry=Retry(NoBackoff(), retries),
                protocol=2,
                client_name="serinus",
            )
        except ValueError as error:
            raise InvalidInput(
                f"the address of the ledger cannot be read ({error})",
                where="ledger_url",
                remedy="Write it as redis://:password@host:6379/0.",
            ) from error
        # Entries as they came, not as a mapping made of each.
        for command in ("XRANGE", "XREVRANGE"):
            self.client.set_response_callback(command, _as_it_is)

    def stream(self, writer: str) -> str:
        """The key of a writer's stream."""
        return f"{self._prefix}:{writer}"

    def lease(self, writer: str) -> str:
        """The key that says that a writer is alive."""
        return f"{self._prefix}:{writer}:lease"

    def ask(self, *command: Any) -> Any:
        """The answer to one command.

        Raises:
            Unavailable: there is none, or it is a refusal.
        """
        with self.explained():
            return self.client.execute_command(*command)

    def ask_all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The answers to several commands, sent at once; others may come in between.

        Raises:
            Unavailable: there are none, or one is a refusal.
        """
        with self.explained():
            pipeline = self.client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute()
            return answers

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the client library raises into our own.

        Raises:
            Unavailable: saying what can be done about it.
        """
        try:
            yield
        except RedisError as error:
            if isinstance(error, ReadOnlyError):
                # The name of the address may stand for another server by now.
                self.close()
            raise Unavailable(
                f"the server of the ledger cannot be used ({_text(error)})",
                where=self.place,
                remedy=_remedy(error),
            ) from error

    def close(self) -> None:
        """Let go of the connections; the next command makes a new one."""
        self.client.connection_pool.disconnect()


class Script:
    """A small program that the server runs as one step: all of it or none, and nothing between.

    Args:
        text: in Lua.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha = ""

    def run(
        self, server: Server, keys: Sequence[str], *given: Any, then: Sequence[Any] = ()
    ) -> list[Any]:
        """Its answer, and that to a command sent behind it over the same connection.

        Raises:
            RedisError: as the client library has them; see :meth:`Server.explained`.
        """
        client = server.client
        for _ in range(2):
            self._sha = self._sha or client.execute_command("SCRIPT LOAD", self._text)
            command = ("EVALSHA", self._sha, len(keys), *keys, *given)
            try:
                if not then:
                    return [client.execute_command(*command)]
                pipeline = client.pipeline(transaction=False)
                pipeline.execute_command(*command)
                pipeline.execute_command(*then)
                answers: list[Any] = pipeline.execute()
            except NoScriptError:
                # The server was started anew since.
                self._sha = ""
            else:
                return answers
        raise NoScriptError("the server does not keep scripts")


def _as_it_is(answer: Any, **_: Any) -> Any:
    return answer


def _text(error: RedisError) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _remedy(error: RedisError) -> str:
    for kind, remedy in _REMEDIES:
        if isinstance(error, kind):
            return remedy
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return _UNREACHABLE
    return "See the log of the server."
