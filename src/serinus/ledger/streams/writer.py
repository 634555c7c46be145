"""Appends events to a writer's own stream: events -> one step of the server -> ids.

The server adds all events of an append or none. A connection that was lost meanwhile leaves open
which: the same entries are then sent again under the same ids, and the server compares. What is
acknowledged survives what the server's own settings say; with ``sync="disk"`` its disk has it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    RedisError,
    TimeoutError,
)

from serinus.errors import Unavailable
from serinus.ledger import frames, ids
from serinus.ledger.events import encode
from serinus.ledger.streams.sealing import seal
from serinus.ledger.streams.server import ANSWER_SECONDS, Script, Server
from serinus.ledger.types import Sync
from serinus.wire import Event

LEASE_SECONDS = 30.0
FIRST_SEGMENT = 1
"""Not 0, since the server refuses the entry 0-0."""

_NAMES = 3
_log = logging.getLogger("serinus.ledger")

# KEYS: stream, lease, writers. ARGV: writer, lease in ms, then the id and the frame of each record.
# 1: they are there, 0: others are there, or the stream has been ended.
_APPEND = """
local first, count = ARGV[3], (#ARGV - 2) / 2
local made = redis.pcall('XADD', KEYS[1], first, 'f', ARGV[4])
if type(made) == 'table' and made.err then
  local there = redis.call('XRANGE', KEYS[1], first, ARGV[#ARGV - 1], 'COUNT', count + 1)
  local same = #there == count
  for i = 1, #there do
    same = same and there[i][1] == ARGV[2 * i + 1] and there[i][2][2] == ARGV[2 * i + 2]
  end
  if not same then
    if #redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', 1) > 0 then return 0 end
    return made
  end
else
  for i = 5, #ARGV, 2 do redis.call('XADD', KEYS[1], ARGV[i], 'f', ARGV[i + 1]) end
end
redis.pcall('SET', KEYS[2], '1', 'PX', ARGV[2])
redis.pcall('SADD', KEYS[3], ARGV[1])
return 1
"""

# KEYS: lease, writers. ARGV: writer, lease in ms. 1: the name is free, and taken now.
_CLAIM = """
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])
return 1
"""


class Writer:
    """One process run's own part of the ledger. Not for several threads at once.

    It counts as alive for so long after each append. If it was taken for dead meanwhile, or if
    the outcome of an append that failed cannot be had any more, it goes on under a new name.

    Args:
        address: of the ledger.
        segment_bytes: a new segment begins once the present one has reached this size.
        sync: ``os`` returns once the server has the records, ``disk`` once its disk has.
        lease_seconds: how long it is taken to be alive after an append.

    Raises:
        InvalidInput: the address is none.
        Unavailable: the server cannot be reached or written, or keeps no file of what it is told
            though ``disk`` is asked for.
    """

    def __init__(
        self,
        address: str,
        *,
        segment_bytes: int,
        sync: Sync = "os",
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        # No retries by the library: what is sent again is decided here.
        self._server = Server(address, retries=0)
        self._segment_bytes = segment_bytes
        self._lease_ms = round(lease_seconds * 1000)
        self._disk = sync == "disk"
        self._append, self._claim = Script(_APPEND), Script(_CLAIM)
        self._raw = b""
        self._segment = FIRST_SEGMENT
        self._offset = 0
        self._is_closed = False
        self._take_name()
        if self._disk:
            self.sync()

    @property
    def name(self) -> str:
        """The present name of the writer: 8 hexadecimal digits."""
        return self._raw.hex()

    @property
    def is_quick(self) -> bool:
        """Never: an append waits for the network."""
        return False

    def append(self, events: Sequence[Event]) -> list[bytes]:
        """Write events, in their order and in one step; their ids, once all are safe.

        Either all of them are in the ledger or none is.

        Raises:
            InvalidInput: an event is larger than a record may be, or holds what cannot be packed.
            Unavailable: the server cannot be reached, or takes nothing. If it fell silent in this
                very moment, the events may be in the ledger, whole, though nobody has their ids.
        """
        framed = [(*frames.pack(payload), payload) for payload in map(encode, events)]
        if not framed:
            return []
        for _ in range(_NAMES):
            if self._offset >= self._segment_bytes:
                self._segment, self._offset = self._segment + 1, 0
            entries, made, end = self._addressed(framed)
            if self._add(entries):
                self._offset = end
                return made
            self._leave_name()
            self._take_name()
        raise Unavailable(
            "no name of a writer stays its own",
            where=self._server.place,
            remedy="See that nobody else writes under the prefix of ledger_url.",
        )

    def sync(self) -> None:
        """Wait until the server's disk has everything that was appended.

        Raises:
            Unavailable: it cannot be made sure.
        """
        given = (self._server.lease(self.name), "1", "PX", self._lease_ms)
        # The renewed lease is a write of this connection, behind all others: what to wait for.
        answers = self._server.ask_all([("SET", *given), _on_disk()])
        self._check_disk(answers[-1])

    def close(self) -> None:
        """End this writer: nothing more will come of it, and readers need not look again."""
        if not self._is_closed:
            self._is_closed = True
            self._leave_name()
            self._server.close()

    def _addressed(
        self, framed: Sequence[tuple[int, bytes, bytes]]
    ) -> tuple[list[bytes], list[bytes], int]:
        """The entries to add, the ids of the records, and the offset behind them."""
        raw, segment, offset = self._raw, self._segment, self._offset
        entries: list[bytes] = []
        made: list[bytes] = []
        for crc, header, payload in framed:
            entries += (b"%d-%d" % (segment, offset), header + payload)
            made.append(ids.pack(raw, segment, offset, crc))
            offset += len(header) + len(payload)
        return entries, made, offset

    def _add(self, entries: Sequence[bytes]) -> bool:
        """Have the server add entries: whether they are there; if not, the name is lost."""
        server = self._server
        keys = [server.stream(self.name), server.lease(self.name), server.writers]
        then = _on_disk() if self._disk else ()
        answers = self._run(self._append, keys, self.name, self._lease_ms, *entries, then=then)
        if then and answers[0]:
            self._check_disk(answers[-1])
        return bool(answers[0])

    def _run(
        self, script: Script, keys: Sequence[str], *given: Any, then: Sequence[Any] = ()
    ) -> list[Any]:
        """Have the server run a script that may be run twice, again if the connection is lost."""
        with self._server.explained():
            try:
                return script.run(self._server, keys, *given, then=then)
            except (AuthenticationError, BusyLoadingError):
                raise
            except (ConnectionError, TimeoutError):
                return script.run(self._server, keys, *given, then=then)

    def _check_disk(self, answer: Sequence[int]) -> None:
        if not answer[0]:
            raise Unavailable(
                "the server's disk did not confirm in time",
                where=self._server.place,
                remedy="Set appendfsync to always, and see that the server's disk keeps up.",
            )

    def _take_name(self) -> None:
        self._segment, self._offset = FIRST_SEGMENT, 0
        while True:
            self._raw = os.urandom(4)
            keys = [self._server.lease(self.name), self._server.writers]
            if self._run(self._claim, keys, self.name, self._lease_ms)[0]:
                return

    def _leave_name(self) -> None:
        try:
            seal(self._server, self.name)
        except RedisError as error:
            # Whoever prepares the ledger next ends it, once its lease has run out.
            _log.warning("the writer %s could not be closed: %s", self.name, error)


def _on_disk() -> tuple[Any, ...]:
    return ("WAITAOF", 1, 0, round((ANSWER_SECONDS - 0.5) * 1000))
