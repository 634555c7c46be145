"""The process that archives finished segments: ``python -m serinus.ledger.archive.child``.

Standard input carries the :class:`Task`, one line of JSON, and then the answer to each question
asked on standard output; its end ends this process, wherever it is: what is begun is begun anew.
Whatever else is printed here goes to standard error.
"""

from __future__ import annotations

import io
import os
import queue
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from serinus.deferred import Deferred
from serinus.errors import SerinusError
from serinus.ledger.archive.apart import Asked, Done, Failed, Task
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.sources import open_segments

if TYPE_CHECKING:
    from serinus.ledger.archive import compaction
else:
    # Parquet's libraries may print as they are imported.
    compaction = Deferred("serinus.ledger.archive.compaction")

_NAMES = msgspec.json.Decoder(tuple[str, ...] | None)
# Nobody waits for the archive.
_NICE = 10


class Owner:
    """The process that started this one, which does not outlive it."""

    def __init__(self) -> None:
        # Standard output is for this module alone: what a library prints is no message.
        self._messages = os.dup(1)
        os.dup2(2, 1)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self) -> bytes:
        """What it says next, a line of JSON."""
        return self._lines.get()

    def tell(self, message: Asked | Done | Failed) -> None:
        """Say something to it."""
        line = msgspec.json.encode(message) + b"\n"
        while line:
            line = line[os.write(self._messages, line) :]

    def names(self, model: str, version: str) -> tuple[str, ...] | None:
        """The names of a version's inputs; None if it does not know them."""
        self.tell(Asked(model, version))
        found: tuple[str, ...] | None = _NAMES.decode(self.hear())
        return found

    def _listen(self) -> None:
        # Without a buffer, whose lock this thread would still hold when the process ends.
        with io.FileIO(sys.stdin.fileno()) as source:
            for line in source:
                self._lines.put(line)
        os._exit(1)


def main() -> None:
    """Archive what is pending, and tell how that went."""
    os.nice(_NICE)
    owner = Owner()
    task = msgspec.json.decode(owner.hear(), type=Task)
    try:
        segments = open_segments(task.address)
        catalog = Catalog(Path(task.archive))
        done = compaction.Compaction(segments, catalog, owner.names).run(task.seconds)
    except SerinusError as error:
        owner.tell(Failed(error.what, error.where, error.remedy))
    else:
        owner.tell(Done(len(done)))


if __name__ == "__main__":
    main()
