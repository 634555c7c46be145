"""Opens a ledger by its address: a folder, or a Redis or Valkey server.

Everybody else knows the port in ``types`` only. What a server needs is an optional extra and is
imported once an address asks for it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, TypeAlias

from serinus.errors import InvalidInput
from serinus.ledger.files import reader as file_reader
from serinus.ledger.files import writer as file_writer
from serinus.ledger.files.repair import repair
from serinus.ledger.types import Reader, Sync, Writer

Address: TypeAlias = Path | str
"""Where a ledger is: a folder, or a URL such as ``redis://:password@host:6379/0``."""

_SCHEMES = ("redis://", "rediss://", "unix://")


def open_writer(address: Address, *, segment_bytes: int, sync: Sync = "os") -> Writer:
    """A new writer of the ledger there.

    Args:
        address: of the ledger.
        segment_bytes: a new segment begins once the present one has reached this size.
        sync: ``os`` returns once the kernel or the server has the bytes, ``disk`` once the disk
            has.

    Raises:
        InvalidInput: the address is none, or what it needs is not installed.
        Unavailable: nothing can be written there.
    """
    if isinstance(address, Path):
        return file_writer.Writer(address, segment_bytes=segment_bytes, sync=sync)
    opened: Writer = _streams("writer", address).Writer(
        address, segment_bytes=segment_bytes, sync=sync
    )
    return opened


def open_reader(address: Address) -> Reader:
    """A reader of the ledger there, which need not exist yet.

    Raises:
        InvalidInput: the address is none, or what it needs is not installed.
    """
    if isinstance(address, Path):
        return file_reader.Reader(address)
    opened: Reader = _streams("reader", address).Reader(address)
    return opened


def prepare(address: Address) -> int:
    """Make sure that writers can be at home there, and close those that died.

    Returns:
        How many bytes that killed writers had begun to write were cut off.

    Raises:
        InvalidInput: the address is none, or what it needs is not installed.
        Unavailable: nothing can be written there.
    """
    if isinstance(address, Path):
        file_writer.check_writable(address)
        return repair(address)
    cut: int = _streams("upkeep", address).prepare(address)
    return cut


def _streams(module: str, address: str) -> Any:
    if not address.startswith(_SCHEMES):
        raise InvalidInput(
            f"{address.partition('://')[0]!r} is no kind of ledger",
            where="ledger_url",
            remedy=f"Begin the address with {', '.join(_SCHEMES)}; or leave it empty: a folder.",
        )
    try:
        return importlib.import_module(f"serinus.ledger.streams.{module}")
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"the ledger at a server needs a package that is not installed ({error.name})",
            where="ledger_url",
            remedy="Install it: pip install 'serinus[redis]'.",
        ) from error
