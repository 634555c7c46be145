"""A consumer's offsets, kept in the database so that they change with what was made of the records.

The table is named here by its columns only: the ledger and the store do not know each other.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, column, select, table
from sqlalchemy.dialects import postgresql, sqlite

from serinus.ledger.types import Offset

_OFFSETS = table(
    "ledger_offsets", column("consumer"), column("writer"), column("segment"), column("offset")
)


def load_offsets(connection: Connection, consumer: str) -> dict[str, Offset]:
    """How far ``consumer`` has read each writer; empty if it never has."""
    rows = connection.execute(
        select(_OFFSETS.c.writer, _OFFSETS.c.segment, _OFFSETS.c.offset).where(
            _OFFSETS.c.consumer == consumer
        )
    )
    return {writer: Offset(segment, offset) for writer, segment, offset in rows}


def save_offsets(connection: Connection, consumer: str, offsets: Mapping[str, Offset]) -> None:
    """Remember ``offsets``, in the caller's transaction; writers not named keep theirs."""
    known = load_offsets(connection, consumer)
    rows = [
        {"consumer": consumer, "writer": writer, "segment": at.segment, "offset": at.offset}
        for writer, at in offsets.items()
        if known.get(writer) != at
    ]
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(_OFFSETS)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=["consumer", "writer"],
            set_={"segment": insert.excluded.segment, "offset": insert.excluded.offset},
        ),
        rows,
    )
