"""Goes through a whole ledger from its beginning, by means of any reader."""

from __future__ import annotations

from collections.abc import Iterator

from serinus.ledger.types import Offsets, Reader, Record
from serinus.wire import Event, WorkerStatus

_RECORDS = 4_096


def scan(reader: Reader, model: str | None, since_us: int | None) -> Iterator[Record]:
    """Every record, writer by writer; arguments and errors as of :meth:`Reader.scan`."""
    offsets: Offsets = {}
    while (batch := reader.read(offsets, _RECORDS)).records or batch.offsets != offsets:
        for record in batch.records:
            if _matches(record.event, model, since_us):
                yield record
        offsets = batch.offsets


def _matches(event: Event, model: str | None, since_us: int | None) -> bool:
    if since_us is not None and event.at < since_us:
        return False
    if model is None:
        return True
    return not isinstance(event, WorkerStatus) and event.assignment.model == model
