"""Compaction in a process of its own, which ends: whatever it needed is gone with it.

Writing Parquet brings pyarrow, which brings pandas, and a segment's rows are held until their row
groups are full: 150 MB that whoever lives for months would never give back, and seconds in which
its own threads would wait. The process knows no database: it asks the one that started it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import msgspec

from serinus import clock
from serinus.errors import Unavailable
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.rows import Names
from serinus.ledger.archive.sources import open_segments
from serinus.ledger.opening import Address

_CHILD = "serinus.ledger.archive.child"
# Far beyond what the last segment that it begins can take: it hangs, and others wait for it.
_OVERDUE_SECONDS = 600.0


class Task(msgspec.Struct, frozen=True):
    """What the process is to do.

    ``ledger`` is a folder or a URL, and ``seconds`` how soon it begins no further segment.
    """

    ledger: str
    is_folder: bool
    archive: str
    seconds: float

    @property
    def address(self) -> Address:
        """Of the ledger."""
        return Path(self.ledger) if self.is_folder else self.ledger


class Asked(msgspec.Struct, frozen=True, tag=True):
    """The process wants to know the names of a version's inputs."""

    model: str
    version: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """How many segments are archived; the process ends."""

    segments: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A segment could not be archived, all others are; the process ends."""

    what: str
    where: str
    remedy: str


class CompactionApart:
    """Has the finished segments of a ledger archived by a process that ends with it.

    Args:
        address: of the ledger.
        catalog: of its archive.
        names: of the inputs of models' versions.
    """

    def __init__(self, address: Address, catalog: Catalog, names: Names) -> None:
        self._address = address
        self._segments = open_segments(address)
        self._catalog = catalog
        self._names = names

    def run(self, seconds: float) -> int:
        """Archive what is pending, until ``seconds`` have passed; how many segments were.

        Without any, no process is started.

        Raises:
            Unavailable: a segment could not be archived, or the process was killed, for one
                because it hung; what it has not finished is pending still.
        """
        if not self._catalog.pending(self._segments.listed()):
            return 0
        task = Task(
            str(self._address), isinstance(self._address, Path), str(self._catalog.folder), seconds
        )
        until = clock.monotonic() + seconds + _OVERDUE_SECONDS
        with _started(seconds + _OVERDUE_SECONDS) as process:
            done = self._converse(process, task)
        if done is not None:
            return done
        how = f"ended with {process.returncode}"
        if clock.monotonic() >= until:
            how = f"had not ended after {seconds + _OVERDUE_SECONDS:g} s, and was killed"
        raise Unavailable(
            f"the process that archives the ledger {how}",
            where=str(self._catalog.folder),
            remedy="It is tried again; if it goes on, look for what kills it (memory, above all) "
            "or keeps it waiting (a disk or a server that does not answer).",
        )

    def _converse(self, process: subprocess.Popen[bytes], task: Task) -> int | None:
        """What the process comes to; None if it ends without a word."""
        source, answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        _send(source, task)
        for line in answers:
            match msgspec.json.decode(line, type=Asked | Done | Failed):
                case Asked(model, version):
                    _send(source, self._names(model, version))
                case Done(segments):
                    return segments
                case Failed(what, where, remedy):
                    raise Unavailable(what, where=where, remedy=remedy)
        return None


@contextmanager
def _started(seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which ends with the block, and is killed after ``seconds`` wherever that is."""
    process = subprocess.Popen(
        # Without the working directory among the places of modules: it may hold a ``queue.py``.
        [sys.executable, "-P", "-m", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )
    overdue = threading.Timer(seconds, process.kill)
    overdue.daemon = True
    overdue.start()
    try:
        # Leaving the block ends its input, and with it the process.
        with process:
            yield process
    finally:
        overdue.cancel()


def _send(source: IO[bytes], message: object) -> None:
    # Where it has ended, its silence tells.
    with suppress(BrokenPipeError):
        source.write(msgspec.json.encode(message) + b"\n")
