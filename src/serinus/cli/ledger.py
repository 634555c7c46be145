"""``serinus ledger``: what the gateways wrote down, asked in SQL, archived and tidied away.

These commands work where the ledger is, with the control plane or without.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli.options import Json, Limit
from serinus.cli.session import finish, first
from serinus.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

    from serinus.ledger.archive.query import Answer
    from serinus.ledger.archive.retention import Decision
    from serinus.ledger.archive.status import Status

commands = typer.Typer(help="What the gateways wrote down.", no_args_is_help=True)

_CELL_LENGTH = 60


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="ledger")


@commands.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One statement that reads.")],
    limit: Limit = 40,
    csv: Annotated[str | None, typer.Option(help="Write all rows into this CSV file.")] = None,
    parquet: Annotated[
        str | None, typer.Option(help="Write all rows into this Parquet file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the archive and what is not archived yet, in DuckDB's SQL.

    The tables are predictions, failures, shadows, labels, values and workers.
    """
    from serinus.app import App
    from serinus.ledger.archive import output

    if csv and parquet:
        raise InvalidInput("the rows can go into one file only", where="--csv, --parquet")
    app = App(context.obj.settings())
    with app.archiving.ledger.query(sql) as answer:
        if csv or parquet:
            path = Path(csv or parquet or "")
            rows = (output.to_csv if csv else output.to_parquet)(answer, path)
            finish(
                {"rows": rows, "file": str(path)},
                as_json=as_json,
                show=lambda out: out.print(f"{rows:,} rows are in {path}.", soft_wrap=True),
            )
        elif as_json:
            found = {"columns": answer.columns, "rows": list(answer.rows())}
            finish(found, as_json=True, show=lambda out: None)
        else:
            finish(None, as_json=False, show=lambda out: _show_rows(out, answer, limit))


@commands.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """Sizes and ages of the ledger and its archive, and how far everybody has read."""
    from serinus.app import App

    found = App(context.obj.settings()).archiving.status()
    finish(found, as_json=as_json, show=lambda out: out.print(_status(found)))


@commands.command()
def compact(context: typer.Context, as_json: Json = False) -> None:
    """Archive every finished segment now; the control plane does so every minute."""
    from serinus.app import App

    done = App(context.obj.settings()).archiving.compact()
    events = sum(entry.records for entry in done)
    size = sum(file.bytes for entry in done for file in entry.files)
    finish(
        {"segments": len(done), "events": events, "bytes": size},
        as_json=as_json,
        show=lambda out: out.print(
            f"{len(done)} segments with {events:,} events are archived, in {_size(size)}."
            if done
            else "Every finished segment is archived already."
        ),
    )


@commands.command()
def retain(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing: tell what would go, and why.")
    ] = False,
    limit: Limit = 40,
    as_json: Json = False,
) -> None:
    """Remove what is older than the retention and needed by nobody, as the control plane does."""
    from serinus.app import App
    from serinus.ledger.archive.retention import totals

    archiving = App(context.obj.settings()).archiving
    found = archiving.decide() if dry_run else archiving.retain()
    count, size = totals(found)
    told = f"{count} would go" if dry_run else f"{count} went"

    def present(out: Console) -> None:
        if found:
            out.print(_decisions(first(found, limit)))
        if len(found) > limit:
            out.print(f"and {len(found) - limit} more", style="dim")
        out.print(f"{told}, of {_size(size)}.")

    finish({"count": count, "bytes": size, "decisions": found}, as_json=as_json, show=present)


def _show_rows(out: Console, answer: Answer, limit: int) -> None:
    from serinus.cli import show

    rows = first(answer.rows(), limit + 1)
    cells = [tuple(_cell(value) for value in row) for row in rows[:limit]]
    out.print(show.rows(answer.columns, cells, out.width))
    if len(rows) > limit:
        out.print(f"and more: these are the first {limit} (--limit, --csv, --json)", style="dim")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _CELL_LENGTH else f"{text[: _CELL_LENGTH - 1]}…"


def _status(found: Status) -> Any:
    from rich.console import Group

    from serinus.cli import show

    ledger = [
        ("writers", f"{found.writers:,}", f"{found.living} of them may still write"),
        ("segments", f"{found.segments:,}", _size(found.bytes)),
        ("to be archived", f"{found.waiting:,}", _size(found.waiting_bytes)),
        *(
            (f"unread by {lag.consumer}", f"{lag.segments:,}", _size(lag.bytes))
            for lag in found.consumers
        ),
    ]
    archive = [
        ("segments", f"{found.archived_segments:,}", f"{found.archived_records:,} events"),
        ("files", f"{found.archived_files:,}", _size(found.archived_bytes)),
        ("oldest event", "", show.when(found.oldest)),
        ("newest event", "", show.when(found.newest)),
    ]
    return Group(
        show.table("Ledger", ("", "count", "size"), ledger),
        show.table("\nArchive", ("", "count", "size"), archive),
    )


def _decisions(found: list[Decision]) -> Any:
    from serinus.cli import show

    return show.table(
        "",
        ("what", "name", "size", "goes", "why"),
        [
            (item.subject, item.name, _size(item.bytes), "yes" if item.goes else "no", item.reason)
            for item in found
        ],
    )


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1_000:
            return f"{count:.3g} {unit}"
        count /= 1_000
    return f"{count:,.1f} GB"
