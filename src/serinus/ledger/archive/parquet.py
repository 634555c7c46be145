"""Rows to Parquet and back: streamed in, and single records out by the row groups' statistics.

A file holds one kind and one day of one segment. Each of its row groups holds one model, in the
order of the ledger: so both a query for a model and a look-up of an id skip all others.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import compute
from pyarrow import parquet as pq

from serinus.ledger import ids
from serinus.ledger.archive.rows import COLUMNS, Column, Kind, Row, rebuild
from serinus.ledger.types import Record

GROUP_ROWS = 8_192
"""Most rows of a row group: a look-up reads one of them."""

_TYPES: dict[str, pa.DataType] = {
    "id": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "name": pa.string(),
    "text": pa.string(),
    "integer": pa.int64(),
    "double": pa.float64(),
    "doubles": pa.list_(pa.float64()),
    "texts": pa.list_(pa.string()),
    "bytes": pa.binary(),
}
_ORDERED = ("id", "time", "name", "integer", "double")
SCHEMAS: dict[Kind, pa.Schema] = {
    kind: pa.schema([(column.name, _TYPES[column.type]) for column in columns])
    for kind, columns in COLUMNS.items()
}
"""The columns of each kind, as every engine sees them."""


class FileWriter:
    """Writes one file, group by group; what it has written counts once it is closed.

    Args:
        path: the file, made anew.
        kind: of its rows.
        quick: for a file that is read once and soon: less small, sooner written.
    """

    def __init__(self, path: Path, kind: Kind, *, quick: bool = False) -> None:
        self.path = path
        self.kind = kind
        self.rows = 0
        columns = COLUMNS[kind]
        # Ids share their first 16 digits: written as differences they take half as much.
        keys = [column.name for column in columns if column.type == "id"]
        self._writer = pq.ParquetWriter(
            path,
            SCHEMAS[kind],
            compression="lz4" if quick else "zstd",
            use_dictionary=[column.name for column in columns if _repeats(column)],
            column_encoding=dict.fromkeys(keys, "DELTA_BYTE_ARRAY"),
            write_statistics=[column.name for column in columns if column.type in _ORDERED],
        )

    def write(self, rows: Sequence[Row]) -> None:
        """One row group."""
        schema = SCHEMAS[self.kind]
        arrays = [
            pa.array(values, field.type)
            for field, values in zip(schema, zip(*rows, strict=True), strict=True)
        ]
        self._writer.write_table(
            pa.Table.from_arrays(arrays, schema=schema), row_group_size=len(rows)
        )
        self.rows += len(rows)

    def close(self) -> int:
        """End the file, safe on the disk; its bytes."""
        self._writer.close()
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def abandon(self) -> None:
        """End the file without care for what is in it."""
        self._writer.close()


class Groups:
    """The row groups that were read last: replays and bulks of labels ask for the same few again.

    Args:
        most: how many are kept; each is a few megabytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[Path, int], pa.Table] = OrderedDict()

    def read(self, path: Path, group: int, metadata: pq.FileMetaData) -> pa.Table:
        """One row group, times as numbers of microseconds.

        Raises:
            OSError: the file is not there.
        """
        key = (path, group)
        table = self._kept.get(key)
        if table is None:
            with pq.ParquetFile(path, metadata=metadata) as file:
                table = _plain(file.read_row_group(group))
            self._kept[key] = table
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return table


class FileReader:
    """Finds records in one file. Its description is read once, the file is open only while read.

    Args:
        path: the file, which never changes.
        kind: of its rows.
        groups: what was read last, shared by all readers.

    Raises:
        OSError: the file is not there.
    """

    def __init__(self, path: Path, kind: Kind, groups: Groups) -> None:
        self._path = path
        self._kind = kind
        self._groups = groups
        self._key = COLUMNS[kind][0].name
        self._metadata = pq.read_metadata(path)
        self._bounds: list[tuple[str, str]] = []
        for group in range(self._metadata.num_row_groups):
            found = self._metadata.row_group(group).column(0).statistics
            self._bounds.append((found.min, found.max))

    def find(self, wanted: Collection[bytes]) -> Iterator[Record]:
        """The records of these ids that are in the file."""
        keys = [ids.encode(id) for id in wanted]
        for group, (low, high) in enumerate(self._bounds):
            here = [key for key in keys if low <= key <= high]
            if here:
                table = self._groups.read(self._path, group, self._metadata)
                found = compute.is_in(table.column(self._key), value_set=pa.array(here))
                yield from self._records(table.filter(found))

    def between(self, low: bytes, high: bytes) -> Iterator[Record]:
        """The records whose ids are at least ``low`` and less than ``high``, by row group."""
        least, most = ids.encode(low), ids.encode(high)
        for group, bounds in enumerate(self._bounds):
            if bounds[1] >= least and bounds[0] < most:
                table = self._groups.read(self._path, group, self._metadata)
                keys = table.column(self._key)
                inside = compute.and_(compute.greater_equal(keys, least), compute.less(keys, most))
                yield from self._records(table.filter(inside))

    def _records(self, table: pa.Table) -> Iterator[Record]:
        for batch in table.to_batches():
            rows: list[dict[str, Any]] = batch.to_pylist()
            for row in rows:
                yield rebuild(self._kind, row)


def _plain(table: pa.Table) -> pa.Table:
    # Python's own times end with the year 9999, and cost more.
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.int64()))
    return table


def _repeats(column: Column) -> bool:
    # Latencies, shares, revisions and the like have few values, too; a dictionary that grows too
    # large is given up by the format itself.
    return column.type in ("name", "integer", "double")
