"""Reads labels and values from CSV and Parquet files, a block at a time: file -> what to tell.

A CSV file has text only, and the models' classes may be numbers, booleans or text: what a column
holds is decided once, by its first rows, or by the caller. A cell that does not fit is refused
with its row and harms no other.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import pyarrow as pa
from msgspec import UNSET
from pyarrow import parquet

from serinus.client.predictions import Told, Untold
from serinus.errors import InvalidInput
from serinus.wire import Answer

Kind: TypeAlias = Literal["auto", "number", "text", "boolean"]
Convert = Callable[[Any], Answer | None]
"""Makes a label of a cell, None where there is none; a ValueError says why it cannot be one."""

BLOCK_ROWS = 10_000
SAMPLE_ROWS = 10_000
"""The kind of the labels is decided by so many rows at the start."""

_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_FAULTS = (pa.ArrowException, csv.Error, OSError, UnicodeDecodeError)
_BOOLEANS = {"true": True, "false": False}
_MORE_BOOLEANS = {**_BOOLEANS, "1": True, "0": False, "t": True, "f": False}
_MORE_BOOLEANS |= {"yes": True, "no": False, "y": True, "n": False}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a file; None stands for the usual name, which may then be missing.

    ``kind`` is what labels are; ``auto`` finds out.
    """

    id: str = "prediction_id"
    label: str | None = None
    value: str | None = None
    kind: Kind = "auto"
    delimiter: str = ","


class LabelFile:
    """The rows of a file, to be gone through once, and how much of it has been read.

    Args:
        path: ends in ``.parquet`` or ``.pq``; all else is CSV in UTF-8 with a header, which may be
            compressed (``.csv.gz``, ``.csv.bz2``, ``.csv.zst``).
        columns: where ids, labels and values are.
        skip: so many rows at the start are not given.

    Raises:
        InvalidInput: it cannot be read, or a column is missing.
    """

    def __init__(self, path: Path, columns: Columns | None = None, *, skip: int = 0) -> None:
        self._path = path
        self._columns = columns or Columns()
        self._skip = skip
        self._given = 0
        self._is_text = path.suffix.lower() not in {".parquet", ".pq"}
        try:
            self._file: BinaryIO = path.open("rb")
            self._bytes = path.stat().st_size
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        try:
            self._cells = self._text_rows() if self._is_text else self._parquet_rows()
            self._names = self._chosen(next(self._cells))
        except (*_FAULTS, StopIteration) as error:
            self.close()
            raise self._unreadable(str(error) or "it is empty") from error
        except InvalidInput:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    @property
    def share_read(self) -> float:
        """How much of the file has been read, from 0 to 1; a little ahead of the rows given."""
        if self._file.closed:
            return 1.0
        return min(1.0, self._position() / max(self._bytes, 1))

    def __iter__(self) -> Iterator[Told | Untold]:
        """What each row tells, or why it cannot be told.

        Raises:
            InvalidInput: the file cannot be read any further.
        """
        try:
            first = list(itertools.islice(self._cells, SAMPLE_ROWS))
            wide, places = len(self._names), self._places
            convert = _converter(
                self._columns.kind,
                [row[places[1]] for row in first if len(row) == wide] if places[1] >= 0 else [],
                is_text=self._is_text,
            )
            for row in itertools.chain(first, self._cells):
                self._given += 1
                if self._given <= self._skip:
                    continue
                if len(row) != wide:
                    reason = f"the row has {len(row)} cells, the header {wide}: {row!r}"
                    yield Untold(0, "", None, None, reason[:300])
                    continue
                id, label, value = (None if at < 0 else row[at] for at in places)
                yield _told(id, label, value, convert)
        except _FAULTS as error:
            raise self._unreadable(error) from error
        finally:
            self.close()

    # -------------------------------------------------------------- reading

    def _text_rows(self) -> Iterator[Sequence[Any]]:
        """The header and then the rows; lines with nothing in them are none."""
        self._position = self._file.tell
        file: Any = self._file
        codec = _CODECS.get(self._path.suffix.lower())
        if codec is not None:
            file = pa.CompressedInputStream(file, codec)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        return filter(None, csv.reader(text, delimiter=self._columns.delimiter))

    def _parquet_rows(self) -> Iterator[Sequence[Any]]:
        opened = parquet.ParquetFile(self._file)
        rows = max(opened.metadata.num_rows, 1)
        self._position = lambda: self._bytes * self._given / rows
        names = opened.schema_arrow.names
        yield names
        wanted = sorted({at for at in self._places if at >= 0})
        empty = [None] * len(names)
        for block in opened.iter_batches(BLOCK_ROWS, columns=[names[at] for at in wanted]):
            for cells in zip(*(column.to_pylist() for column in block.columns), strict=True):
                row = empty.copy()
                for at, cell in zip(wanted, cells, strict=True):
                    row[at] = cell
                yield row

    def _chosen(self, present: Sequence[str]) -> list[str]:
        wanted = self._columns
        label = wanted.label or ("label" if "label" in present else None)
        value = wanted.value or ("value" if "value" in present else None)
        names = (wanted.id, label, value)
        missing = [name for name in names if name and name not in present]
        if missing or not (label or value):
            what = " and ".join(map(repr, missing)) or "'label' or 'value'"
            raise InvalidInput(
                f"the file has no column {what}",
                where=str(self._path),
                remedy=f"It has {', '.join(map(repr, present[:20]))}; name the right ones.",
            )
        self._places = [present.index(name) if name else -1 for name in names]
        return list(present)

    def _unreadable(self, why: object) -> InvalidInput:
        return InvalidInput(
            f"the file cannot be read ({str(why)[:200]})",
            where=str(self._path),
            remedy="Give a CSV file in UTF-8 with a header, or a Parquet file.",
        )


def _told(id: Any, label: Any, value: Any, convert: Convert) -> Told | Untold:
    name = id.hex() if isinstance(id, bytes) else str(id or "").strip()
    try:
        what = convert(label)
        worth = _number(value)
    except ValueError as error:
        shown = None if label is None else str(label)
        return Untold(0, name, shown, None if value is None else str(value), str(error))
    if what is None and worth is None:
        return Untold(0, name, None, None, "there is neither a label nor a value")
    return Told(name, UNSET if what is None else what, UNSET if worth is None else worth)


# ------------------------------------------------------------------ from cells to labels


def _converter(kind: Kind, first: Sequence[Any], *, is_text: bool) -> Convert:
    """What makes a label of a cell; None where there is none.

    Args:
        kind: as the caller wants it.
        first: the cells of the first rows, by which ``auto`` decides.
        is_text: whether the cells are text only because the file can have nothing else.
    """
    if kind == "auto" and is_text:
        present = [cell for cell in first if cell]
        if present and all(cell.strip().lower() in _BOOLEANS for cell in present):
            kind = "boolean"
        elif all(_reads_as_number(cell) for cell in present):
            kind = "number"
        else:
            kind = "text"
    return {"auto": _as_it_is, "number": _number, "text": _text, "boolean": _boolean}[kind]


def _as_it_is(cell: Any) -> Answer | None:
    if isinstance(cell, str | bool | int):
        return cell if cell != "" else None
    return _number(cell)


def _text(cell: Any) -> str | None:
    return None if cell is None or cell == "" else str(cell)


def _boolean(cell: Any) -> bool | None:
    if cell is None or cell == "" or isinstance(cell, bool):
        return cell if cell != "" else None
    found = _MORE_BOOLEANS.get(str(cell).strip().lower())
    if found is None:
        raise ValueError(f"{cell!r} is neither true nor false; see --label-type")
    return found


def _number(cell: Any) -> float | int | None:
    """A number; None if there is none: an empty cell, or a NaN."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, str):
        cell = _parsed(cell)
    elif isinstance(cell, Decimal):
        cell = float(cell)
    if not isinstance(cell, int | float):
        raise ValueError(f"{str(cell)[:100]!r} is no number; see --label-type")
    if isinstance(cell, float) and not math.isfinite(cell):
        if math.isnan(cell):
            return None
        raise ValueError("a number must be finite")
    return cell


def _parsed(text: str) -> float | int:
    stripped = text.strip()
    try:
        if "_" in stripped:  # Python's own way of writing numbers, and nobody else's
            raise ValueError
        digits = stripped.removeprefix("-").removeprefix("+")
        return int(stripped) if digits.isascii() and digits.isdigit() else float(stripped)
    except ValueError:
        raise ValueError(f"{text[:100]!r} is no number; see --label-type") from None


def _reads_as_number(text: str) -> bool:
    try:
        _parsed(text)
    except ValueError:
        return False
    return True
