"""The process that archives finished segments: ``python -m serinus.ledger.archive.child``.

Standard input carries the :class:`Task`, one line of JSON, and then the answer to each question
asked on standard output; its end ends this process, wherever it is: what is begun is begun anew.
"""

from __future__ import annotations

import io
import os
import queue
import sys
import threading
from pathlib import Path

import msgspec

from serinus.errors import SerinusError
from serinus.ledger.archive.apart import Asked, Done, Failed, Task
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.compaction import Compaction
from serinus.ledger.archive.sources import open_segments

_NAMES = msgspec.json.Decoder(tuple[str, ...] | None)
# Nobody waits for the archive.
_NICE = 10


class Owner:
    """The process that started this one, which does not outlive it."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def hear(self) -> bytes:
        """What it says next, a line of JSON."""
        return self._lines.get()

    def tell(self, message: Asked | Done | Failed) -> None:
        """Say something to it."""
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()

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
        done = Compaction(segments, Catalog(Path(task.archive)), owner.names).run(task.seconds)
    except SerinusError as error:
        owner.tell(Failed(error.what, error.where, error.remedy))
    else:
        owner.tell(Done(len(done)))


if __name__ == "__main__":
    main()
