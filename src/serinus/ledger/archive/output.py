"""The rows of a query into a file: whole, or not there at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet as pq

from serinus.errors import InvalidInput
from serinus.ledger.archive.query import Answer


def to_csv(answer: Answer, path: Path) -> int:
    """Write comma-separated text with a line of names; how many rows there were.

    Missing values are empty, times are ISO 8601, lists and structures are JSON.

    Raises:
        InvalidInput: the file cannot be written, or the query cannot be answered to its end.
    """
    rows = 0
    with _fresh(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(answer.columns)
        for row in answer.rows():
            writer.writerow([_cell(value) for value in row])
            rows += 1
    return rows


def to_parquet(answer: Answer, path: Path) -> int:
    """Write Parquet; how many rows there were.

    Raises:
        InvalidInput: the file cannot be written, or the query cannot be answered to its end, or
            gives what Parquet has no type for.
    """
    rows = 0
    with _fresh(path) as fresh:
        try:
            with pq.ParquetWriter(fresh, answer.schema, compression="zstd") as writer:
                for batch in answer.batches():
                    writer.write_batch(batch)
                    rows += batch.num_rows
        except pa.ArrowException as error:
            raise InvalidInput(
                f"Parquet cannot hold this ({error})", where="SQL", remedy="Cast it, or use --csv."
            ) from error
    return rows


@contextmanager
def _fresh(path: Path) -> Iterator[Path]:
    """A file that takes its name once it is whole."""
    fresh = path.with_name(f".{path.name}.part")
    try:
        yield fresh
        fresh.replace(path)
    except OSError as error:
        raise InvalidInput(
            f"this file cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="Name a file in a folder that can be written.",
        ) from error
    finally:
        try:
            fresh.unlink(missing_ok=True)
        except OSError:
            # It could not be made in the first place.
            fresh = path


def _cell(value: object) -> object:
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    isoformat = getattr(value, "isoformat", None)
    return value if isoformat is None else isoformat()
