"""Appends events to a writer's own segments: events -> one buffer -> one write -> ids.

An id is handed out only after the kernel has the whole frame, so that a process killed at any
moment loses nothing it has acknowledged (``sync="disk"``: nor does a machine that loses power).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from serinus.errors import InvalidInput, Unavailable
from serinus.ledger import frames, ids
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
        self._encoder = msgspec.msgpack.Encoder()
        self._number = -1
        self._size = 0
        self._file = -1
        try:
            self._raw, self._lock = _claim_name(folder)
            self._rotate()
        except OSError as error:
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
            if self._file < 0 or self._size >= self._segment_bytes:
                self._rotate()
            buffer, made = self._pack(events)
            self._write(buffer)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        return made

    def sync(self) -> None:
        """Wait until the disk has everything that was appended."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def close(self) -> None:
        """End this writer: what it wrote is on the disk, and readers need not look again."""
        if self._lock < 0:
            return
        try:
            self.sync()
            (self._folder / self.name / segments.CLOSED).touch()
        finally:
            for file in (self._file, self._lock):
                if file >= 0:
                    os.close(file)
            self._file = self._lock = -1

    def _pack(self, events: Sequence[Event]) -> tuple[bytearray, list[bytes]]:
        buffer = bytearray()
        made: list[bytes] = []
        encode, raw, number, size = self._encoder.encode, self._raw, self._number, self._size
        for event in events:
            try:
                payload = encode(event)
            except (ValueError, OverflowError, TypeError, RecursionError) as error:
                raise InvalidInput(
                    f"an event cannot be packed ({error})",
                    remedy="Send text that is whole and integers of at most 64 bits.",
                ) from error
            if len(payload) > frames.MAX_PAYLOAD:
                raise InvalidInput(
                    f"an event of {len(payload)} bytes is too large for the ledger",
                    remedy=f"Send at most {frames.MAX_PAYLOAD} bytes per row.",
                )
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
            self._undo()
            raise
        self._size += len(buffer)

    def _undo(self) -> None:
        """Take a half-written buffer back, so that no frame that was refused can be read later."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            # The rest of this segment is in doubt: the next append begins a new one.
            os.close(self._file)
            self._file = -1

    def _rotate(self) -> None:
        number = self._number + 1
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fresh = os.open(segments.path(self._folder, self.name, number), flags, 0o644)
        if self._file >= 0:
            if self._disk:
                os.fdatasync(self._file)
            os.close(self._file)
        if self._disk:
            _sync_folder(self._folder / self.name)
        self._file, self._number, self._size = fresh, number, 0


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
