"""Appends events to a writer's own segments: events -> one buffer -> one write -> ids.

An id is handed out only after the kernel has the whole frame, so that a process killed at any
moment loses nothing it has acknowledged (``sync="disk"``: nor does a machine that loses power).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from serinus.errors import Unavailable
from serinus.ledger import frames, ids
from serinus.ledger.events import encode
from serinus.ledger.files import segments
from serinus.ledger.types import Sync
from serinus.wire import Event


class Writer:
    """One process run's own part of the ledger. Not for several threads at once.

    Args:
        folder: the ledger; this writer's folder is made inside it.
        segment_bytes: a new segment begins once the present one has reached this size.
        sync: ``os`` returns once the kernel has the bytes, ``disk`` once the disk has.

    Raises:
        Unavailable: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, segment_bytes: int, sync: Sync = "os") -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._disk = sync == "disk"
        self._number = -1
        self._size = 0
        self._file = self._lock = -1
        self._is_torn = self._is_over = False
        try:
            self._raw, self._lock = _claim_name(folder)
            self._rotate()
        except OSError as error:
            if self._lock >= 0:
                os.close(self._lock)
            raise _unwritable(folder, error) from error

    @property
    def name(self) -> str:
        """The name of the writer: 8 hexadecimal digits, new in each process run."""
        return self._raw.hex()

    @property
    def is_quick(self) -> bool:
        """Whether an event loop may wait for an append: not for the disk."""
        return not self._disk

    def append(self, events: Sequence[Event]) -> list[bytes]:
        """Write events, in their order and with one write; their ids, once all are safe.

        Either all of them are in the ledger or none is.

        Raises:
            InvalidInput: an event is larger than a frame may be, or holds what cannot be packed.
            Unavailable: the write failed (disk full, read-only); nothing of it remains.
        """
        try:
            if self._is_torn:
                self._mend()
            if self._is_over or self._size >= self._segment_bytes:
                self._rotate()
            buffer, made = self._pack(events)
            self._write(buffer)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        return made

    def sync(self) -> None:
        """Wait until the disk has everything that was appended.

        Raises:
            Unavailable: it cannot be made sure.
        """
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def close(self) -> None:
        """End this writer: what it wrote is on the disk, and readers need not look again.

        Raises:
            Unavailable: the disk does not take it, or the end cannot be marked; whoever
                repairs the ledger next marks it.
        """
        if self._lock < 0:
            return
        try:
            if self._is_torn:
                self._mend()
            os.fdatasync(self._file)
            (self._folder / self.name / segments.CLOSED).touch()
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        finally:
            os.close(self._file)
            os.close(self._lock)
            self._file = self._lock = -1

    def _pack(self, events: Sequence[Event]) -> tuple[bytearray, list[bytes]]:
        buffer = bytearray()
        made: list[bytes] = []
        raw, number, size = self._raw, self._number, self._size
        for event in events:
            payload = encode(event)
            crc, header = frames.pack(payload)
            made.append(ids.pack(raw, number, size + len(buffer), crc))
            buffer += header
            buffer += payload
        return buffer, made

    def _write(self, buffer: bytearray) -> None:
        rest = memoryview(buffer)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if self._disk:
                os.fdatasync(self._file)
        except OSError:
            # Taken back at once, or else before anything more is written.
            self._is_torn = True
            with contextlib.suppress(OSError):
                self._mend()
            raise
        self._size += len(buffer)

    def _mend(self) -> None:
        """Take a half-written buffer back, so that no frame that was refused can be read later.

        A reader may have been quick enough to see frames of it: the next append begins a new
        segment, so that it will never meet other bytes where those were.
        """
        if os.fstat(self._file).st_size > self._size:
            os.ftruncate(self._file, self._size)
            self._is_over = True
        self._is_torn = False

    def _rotate(self) -> None:
        number = self._number + 1
        path = segments.path(self._folder, self.name, number)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fresh = os.open(path, flags, 0o644)
        try:
            if self._disk:
                _sync_folder(self._folder / self.name)
        except OSError:
            # Gone again: the next attempt makes it anew.
            os.close(fresh)
            path.unlink()
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._number, self._size, self._is_over = fresh, number, 0, False


def check_writable(folder: Path) -> None:
    """Make the ledger's folder if it is missing, and see that writers can be at home there.

    Raises:
        Unavailable: they cannot.
    """
    probe = folder / f".{os.urandom(4).hex()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"the ledger cannot be written ({error.strerror})",
        where=str(folder),
        remedy="Free disk space, or make the folder writable.",
    )


def _claim_name(folder: Path) -> tuple[bytes, int]:
    """Make a folder of an unused name and hold its lock: the raw name and the lock's descriptor.

    The folder gets its name only once it is locked, so that a repair never finds it unlocked
    and takes its writer for dead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while (folder / (raw := os.urandom(4)).hex()).exists():
        pass
    fresh = folder / f".{raw.hex()}"
    fresh.mkdir()
    lock = os.open(fresh / segments.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fresh.rename(folder / raw.hex())
    return raw, lock


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
