"""What packaging asks for and what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from serinus import wire

Row: TypeAlias = tuple[wire.Cell, ...]
"""The inputs of one request, in the order of the manifest."""

MIN_ROWS = 30
"""Distinct real rows without which nothing is proven."""


class Unconvertible(Exception):
    """There is no graph of this model, for a reason that is its text."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What packaging may take and tolerate.

    Args:
        seconds: for converting and proving all forms of one version; 0 packages nothing.
        rows: real rows that are compared at most.
        double: largest difference of a graph that computes in 64 bits.
        single: largest difference of one that computes in 32.
    """

    seconds: float = 120.0
    rows: int = 2_000
    double: float = 1e-6
    single: float = 1e-5


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a packaging process is told.

    Args:
        folder: of the version.
        manifest: of the version.
        rows: real rows.
        double: see :class:`Limits`.
        single: see :class:`Limits`.
        quantize: difference up to which a quantized graph is wanted, None for none.
        command: what to run when there are too few rows.
    """

    folder: str
    manifest: wire.Manifest
    rows: Sequence[Row]
    double: float
    single: float
    quantize: float | None = None
    command: str = ""
