"""SQL over the archive and the ledger's live tail: one consistent look, nothing twice or missing.

The engine runs in this process, over views of Parquet files: those of the archive, and for what is
not archived yet fresh ones in a folder of their own, gone when the query ends. Nothing is locked
meanwhile. The statement can only read, and only these files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from serinus.errors import InvalidInput, NotFound, Unavailable
from serinus.ledger.archive.catalog import Catalog, unwritable
from serinus.ledger.archive.compaction import write_segment
from serinus.ledger.archive.rows import COLUMNS, Kind, Names
from serinus.ledger.archive.types import Segment, Segments

T = TypeVar("T")

_BATCH_ROWS = 4_096
# Retention may take a file away between the look at the catalog and the look into the file.
_ATTEMPTS = 3
_HEARD_SECONDS = 0.02
_SQL_TYPES = {
    "id": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "name": "VARCHAR",
    "text": "VARCHAR",
    "integer": "BIGINT",
    "double": "DOUBLE",
    "doubles": "DOUBLE[]",
    "texts": "VARCHAR[]",
}
# What may be told again of one prediction; the first counts, and it has a view of its own.
_REPEATED = (Kind.LABELS, Kind.VALUES)
_ALLOWED = ("SELECT", "DESCRIBE", "SHOW", "SUMMARIZE", "WITH", "FROM", "VALUES")


class Ledger:
    """What queries are asked of.

    Args:
        segments: of the ledger.
        catalog: of its archive.
        names: of the inputs of models' versions, for what is not archived yet.
    """

    def __init__(self, segments: Segments, catalog: Catalog, names: Names) -> None:
        self._segments = segments
        self._catalog = catalog
        self._names = names

    @contextmanager
    def query(self, sql: str) -> Iterator[Answer]:
        """Ask one statement that reads; the answer is good until the context ends.

        Raises:
            InvalidInput: it is not one statement, would do more than read, or cannot be understood
                or answered; with the engine's own words.
            Unavailable: the ledger cannot be reached now.
        """
        with tempfile.TemporaryDirectory(prefix="serinus-query-") as name:
            answer = self._asked(sql, Path(name))
            try:
                yield answer
            finally:
                answer.close()

    def _asked(self, sql: str, folder: Path) -> Answer:
        kinds = kinds_of(sql)
        attempt = 1
        while True:
            work = folder / str(attempt)
            try:
                connection = self._opened(kinds, work)
                return Answer(connection, sql)
            except NotFound as error:
                if attempt == _ATTEMPTS:
                    raise Unavailable(
                        f"the archive changes faster than it can be read ({error})",
                        remedy="Ask again; if that does not help, a file of the archive is lost.",
                    ) from error
            attempt += 1

    def _opened(self, kinds: set[Kind], work: Path) -> duckdb.DuckDBPyConnection:
        files = self._files(kinds, work)
        connection = duckdb.connect(
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        try:
            for kind in Kind:
                connection.execute(_view(kind, files[kind]))
            for kind in _REPEATED:
                connection.execute(
                    f"CREATE VIEW first_{kind} AS "
                    f"SELECT DISTINCT ON (prediction_id) * FROM {kind} ORDER BY time"
                )
            for option, value in (
                ("TimeZone", "UTC"),
                ("temp_directory", str(work / "spill")),
                ("allowed_directories", [str(self._catalog.folder), str(work)]),
                ("enable_external_access", False),
                ("lock_configuration", True),
            ):
                connection.execute(f"SET {option} = {_literal(value)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _files(self, kinds: set[Kind], work: Path) -> dict[Kind, list[str]]:
        """The files that make up the tables: each segment's from exactly one of the two places."""
        # The order matters: what is archived after the list was made has its entry by now.
        listed = self._segments.listed()
        entries = self._catalog.entries()
        archived = {(entry.writer, entry.number) for entry in entries}
        files: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for entry in entries:
            for file in entry.files:
                files[Kind(file.kind)].append(str(self._catalog.folder / file.path))
        for segment in listed if kinds else ():
            if (segment.writer, segment.number) not in archived:
                for kind, path in self._shaped(segment, kinds, work):
                    files[kind].append(path)
        return files

    def _shaped(self, segment: Segment, kinds: set[Kind], work: Path) -> Iterator[tuple[Kind, str]]:
        try:
            entry = write_segment(
                self._segments, segment, self._names, work, kinds=kinds, quick=True
            )
        except NotFound as error:
            if self._catalog.entry(segment.writer, segment.number) is not None:
                # Archived and removed since it was listed: the next attempt finds it there.
                raise
            raise Unavailable(
                f"segment {segment.number} of the log {segment.writer} is lost: it went away "
                "before it was archived",
                remedy="Restore it from a backup; nobody but retention may remove segments.",
            ) from error
        except OSError as error:
            raise unwritable(work, error) from error
        for file in entry.files:
            yield Kind(file.kind), str(work / file.path)


class Answer:
    """The rows of a query, as they come.

    Args:
        connection: with the tables; closed with the answer.
        sql: one statement that reads.

    Raises:
        InvalidInput: see :meth:`Ledger.query`.
        NotFound: a file is gone; the tables must be made anew.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
        self._connection = connection
        # In a thread, because the engine hears Ctrl-C only between rows, and waits hear it.
        self._pool = ThreadPoolExecutor(1, "query")
        self._call: Future[Any] | None = None
        try:
            self._reader: pa.RecordBatchReader = self._waited(
                lambda: connection.sql(sql).to_arrow_reader(_BATCH_ROWS)
            )
        except BaseException:
            self.close()
            raise

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._reader.schema

    @property
    def columns(self) -> list[str]:
        """The names of the columns; two may be the same."""
        return list(self._reader.schema.names)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, a few thousand at a time.

        Raises:
            InvalidInput: the engine could not go on (a cast that failed, memory that ran out).
            NotFound: retention took a file away meanwhile.
        """
        while (batch := self._waited(self._next)) is not None:
            yield batch

    def rows(self) -> Iterator[tuple[object, ...]]:
        """All rows, one by one, as Python's own values."""
        for batch in self.batches():
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def close(self) -> None:
        """Let go of the engine; a query that still runs is interrupted."""
        self._interrupt()
        self._pool.shutdown()
        self._connection.close()

    def _interrupt(self) -> None:
        # Again and again, because what has not begun yet does not hear that it is to end.
        while self._call is not None and wait((self._call,), _HEARD_SECONDS).not_done:
            self._connection.interrupt()

    def _next(self) -> pa.RecordBatch | None:
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None

    def _waited(self, call: Callable[[], T]) -> T:
        self._call = future = self._pool.submit(call)
        try:
            return future.result()
        except (KeyboardInterrupt, SystemExit):
            self._interrupt()
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            # What comes after the first rows comes through Arrow, which knows one error only.
            if isinstance(error, duckdb.IOException) or str(error).startswith("IO Error"):
                raise NotFound(
                    f"a file of the archive is gone ({error})", remedy="Ask again."
                ) from error
            raise _refused(error) from error


def kinds_of(sql: str) -> set[Kind]:
    """The tables that a statement may read: others need not be made.

    Raises:
        InvalidInput: it is not one statement, or would do more than read.
    """
    with duckdb.connect() as connection:
        try:
            statements = connection.extract_statements(sql)
        except duckdb.Error as error:
            raise _refused(error) from error
        if len(statements) != 1:
            raise InvalidInput(
                f"there are {len(statements)} statements, one can be answered", where="SQL"
            )
        if statements[0].type is not duckdb.StatementType.SELECT:
            raise InvalidInput(
                f"the ledger can only be read, and this would {statements[0].type.name}",
                where="SQL",
                remedy=f"Begin with one of {', '.join(_ALLOWED)}.",
            )
    text = sql.lower()
    # These functions read tables by names that are made while they run.
    return {kind for kind in Kind if kind in text or "query" in text}


def _view(kind: Kind, files: Sequence[str]) -> str:
    """The statement that makes a table of files; of none an empty one."""
    columns = [column for column in COLUMNS[kind] if column.type != "bytes"]
    if not files:
        typed = [f'"{column.name}" {_SQL_TYPES[column.type]}' for column in columns]
        return f"CREATE TABLE {kind} (day DATE, {', '.join(typed)})"
    named = [f'"{column.name}"' for column in columns]
    # Files from before a column was added lack it: it is NULL in their rows.
    lacking = [f'NULL::{_SQL_TYPES[column.type]} AS "{column.name}"' for column in columns]
    return (
        f"CREATE VIEW {kind} AS SELECT day, {', '.join(named)} FROM ("
        f"SELECT * FROM read_parquet({_literal(list(files))}, union_by_name = true, "
        "hive_partitioning = true, hive_types = {'day': DATE}) "
        f"UNION ALL BY NAME SELECT NULL::DATE AS day, {', '.join(lacking)} WHERE false)"
    )


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    text = str(value).replace("'", "''")
    return f"'{text}'"


def _refused(error: Exception) -> InvalidInput:
    return InvalidInput(
        str(error).strip(),
        where="SQL",
        remedy=f"The tables are {', '.join(Kind)}, "
        f"{', '.join(f'first_{kind}' for kind in _REPEATED)}; "
        "`DESCRIBE predictions` tells one's columns.",
    )
