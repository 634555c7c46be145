"""Profiles by version and minute: sums of whole numbers, so that any order of events gives them.

A prediction counts in the minute of its own time, over the bins of the version that made it; both
never change. Whichever writer it went through, and however batches were cut, the table is the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from serinus import clock
from serinus.monitoring import cells
from serinus.monitoring.cells import Baseline, Placed
from serinus.monitoring.types import ColumnProfile, Profile
from serinus.stats import bins, conformal
from serinus.stats.bins import Counts
from serinus.store import schema
from serinus.wire import Prediction

MINUTE_US = 60_000_000
_TABLE = schema.profile_minutes
_CHUNK = 500
_SPARSE, _DENSE = 0, 1
_WIDTHS = (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"), np.dtype("<u8"))


@dataclass(frozen=True)
class Minute:
    """What one version predicted in one minute since 1970; ``counts`` are over all its cells."""

    model: str
    version: str
    minute: int
    rows: int
    counts: Counts


def fold(predictions: Sequence[Prediction], rows: Placed, baseline: Baseline) -> list[Minute]:
    """What predictions of one version add to their minutes.

    Args:
        predictions: at least one, in any order.
        rows: where their values lie.
        baseline: of their version.
    """
    at = np.array([prediction.at for prediction in predictions], np.int64) // MINUTE_US
    order = np.argsort(at, kind="stable")
    minutes, starts = np.unique(at[order], return_index=True)
    ends = [*starts[1:].tolist(), len(at)]
    model, version = predictions[0].assignment.model, predictions[0].version
    return [
        Minute(model, version, minute, end - start, cells.counted(rows[order[start:end]], baseline))
        for minute, start, end in zip(minutes.tolist(), starts.tolist(), ends, strict=True)
    ]


# ------------------------------------------------------------------ as bytes


def encode(counts: Counts) -> bytes:
    """Counts in as few bytes as their kind needs; the same counts are always the same bytes.

    A byte that says how (sparse or dense, and how wide), then little-endian numbers: of a sparse
    form the places of what is not nought, then what is there.
    """
    places = np.flatnonzero(counts)
    held = _narrow(counts[places])
    wide, dense = _narrow(places), _narrow(counts)
    if len(places) * (held.itemsize + wide.itemsize) < len(counts) * dense.itemsize:
        kind = _SPARSE | _WIDTHS.index(held.dtype) << 1 | _WIDTHS.index(wide.dtype) << 3
        return bytes([kind]) + wide.tobytes() + held.tobytes()
    return bytes([_DENSE | _WIDTHS.index(dense.dtype) << 1]) + dense.tobytes()


def decode(data: bytes, width: int) -> Counts:
    """What :func:`encode` made of counts over ``width`` cells, or of fewer: the rest are none."""
    kind, body = data[0], memoryview(data)[1:]
    held = _WIDTHS[kind >> 1 & 3]
    counts = np.zeros(width, np.int64)
    if kind & 1 == _DENSE:
        counts[: len(body) // held.itemsize] = np.frombuffer(body, held)
        return counts
    wide = _WIDTHS[kind >> 3 & 3]
    number = len(body) // (held.itemsize + wide.itemsize)
    counts[np.frombuffer(body, wide, number)] = np.frombuffer(
        body, held, number, number * wide.itemsize
    )
    return counts


def _narrow(numbers: np.typing.NDArray[np.int64]) -> np.typing.NDArray[np.unsignedinteger]:
    largest = int(numbers.max(initial=0))
    width = next(kind for kind in _WIDTHS if largest < 1 << 8 * kind.itemsize)
    return numbers.astype(width)


# ------------------------------------------------------------------ the table


def add(connection: Connection, minutes: Sequence[Minute]) -> None:
    """Add minutes to what is stored, in the caller's transaction."""
    by_version: dict[tuple[str, str], list[Minute]] = defaultdict(list)
    for item in minutes:
        by_version[item.model, item.version].append(item)
    for (model, version), some in by_version.items():
        for start in range(0, len(some), _CHUNK):
            _add_version(connection, model, version, some[start : start + _CHUNK])


def _add_version(
    connection: Connection, model: str, version: str, minutes: Sequence[Minute]
) -> None:
    query = select(_TABLE.c.minute, _TABLE.c.rows, _TABLE.c.counts).where(
        _TABLE.c.model == model,
        _TABLE.c.version == version,
        _TABLE.c.minute.in_([item.minute for item in minutes]),
    )
    held = {row.minute: row for row in connection.execute(query)}
    rows = []
    for item in minutes:
        known = held.get(item.minute)
        total = (
            item.counts if known is None else item.counts + decode(known.counts, len(item.counts))
        )
        rows.append(
            {
                "model": model,
                "version": version,
                "minute": item.minute,
                "rows": item.rows + (0 if known is None else known.rows),
                "counts": encode(total),
            }
        )
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(_TABLE)
    changed = {"rows": insert.excluded.rows, "counts": insert.excluded.counts}
    connection.execute(
        insert.on_conflict_do_update(index_elements=["model", "version", "minute"], set_=changed),
        rows,
    )


def forget(connection: Connection, before: int) -> int:
    """Remove the minutes before this one; how many rows there were."""
    return connection.execute(_TABLE.delete().where(_TABLE.c.minute < before)).rowcount


# ------------------------------------------------------------------ looking


@dataclass(frozen=True)
class Range:
    """What is asked for: minutes from ``since`` to just before ``until``, ``step`` together.

    A ``step`` of 0 is all of them in one. ``after`` is the start and version of the last item of
    the page before.
    """

    since: int
    until: int
    step: int = 1
    version: str | None = None
    after: tuple[int, str] | None = None


def versions(connection: Connection, model: str, wanted: Range) -> list[str]:
    """The versions of a model that have such minutes."""
    query = (
        select(_TABLE.c.version)
        .where(
            _TABLE.c.model == model,
            _TABLE.c.minute >= wanted.since,
            _TABLE.c.minute < wanted.until,
        )
        .distinct()
    )
    if wanted.version is not None:
        query = query.where(_TABLE.c.version == wanted.version)
    return sorted(connection.execute(query).scalars())


def profiles(
    connection: Connection, model: str, wanted: Range, baselines: Mapping[str, Baseline]
) -> Generator[Profile]:
    """Profiles by start and version, oldest first.

    Args:
        connection: to the database.
        model: the model.
        wanted: which.
        baselines: by version; others are left out.
    """
    since = wanted.since if wanted.after is None else max(wanted.since, wanted.after[0])
    query = (
        select(_TABLE)
        .where(_TABLE.c.model == model, _TABLE.c.minute >= since, _TABLE.c.minute < wanted.until)
        .order_by(_TABLE.c.minute, _TABLE.c.version)
    )
    if wanted.version is not None:
        query = query.where(_TABLE.c.version == wanted.version)
    start: int | None = None
    sums: dict[str, tuple[int, Counts]] = {}
    with connection.execute(query.execution_options(yield_per=_CHUNK)) as found:
        for row in found:
            begins = _begins(row.minute, wanted)
            if begins != start and start is not None:
                yield from _profiles(model, start, wanted, sums, baselines)
                sums = {}
            start = begins
            baseline = baselines.get(row.version)
            if baseline is not None:
                counts = decode(row.counts, baseline.width)
                known = sums.get(row.version)
                sums[row.version] = (
                    (row.rows, counts)
                    if known is None
                    else (known[0] + row.rows, known[1] + counts)
                )
    if start is not None:
        yield from _profiles(model, start, wanted, sums, baselines)


def _begins(minute: int, wanted: Range) -> int:
    return minute // wanted.step * wanted.step if wanted.step else wanted.since


def _profiles(
    model: str,
    start: int,
    wanted: Range,
    sums: Mapping[str, tuple[int, Counts]],
    baselines: Mapping[str, Baseline],
) -> Iterator[Profile]:
    since = max(start, wanted.since)
    until = min(start + wanted.step, wanted.until) if wanted.step else wanted.until
    for version in sorted(sums):
        if wanted.after is not None and (since, version) <= wanted.after:
            continue
        rows, counts = sums[version]
        yield Profile(
            model=model,
            version=version,
            since=moment(since),
            until=moment(until),
            rows=rows,
            columns=tuple(_columns(counts, baselines[version])),
        )


def _columns(counts: Counts, baseline: Baseline) -> Iterator[ColumnProfile]:
    for name, part in cells.by_column(counts, baseline).items():
        found = bins.quality(baseline.bins[name], part)
        yield ColumnProfile(
            name=name,
            rows=int(part.sum()),
            distance=conformal.jensen_shannon(baseline.counts[name], part),
            counts=tuple(part.tolist()),
            **found._asdict(),
        )


def moment(minute: int) -> datetime:
    """When a minute begins."""
    return clock.from_epoch_us(minute * MINUTE_US)


def minute_of(moment: datetime) -> int:
    """The minute that a moment is in."""
    return clock.to_epoch_us(moment) // MINUTE_US
