"""``serinus feedback``: tell the gateway what turned out of one prediction, or of a file."""

from __future__ import annotations

import contextlib
import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from serinus.cli.options import GatewayUrl, Json
from serinus.cli.session import finish, progress_console
from serinus.errors import InvalidInput, SerinusError

if TYPE_CHECKING:
    from serinus.client import Serinus
    from serinus.client.labels import LabelFile
    from serinus.client.predictions import Sent, Untold

REFUSED, INTERRUPTED = 2, 130
_TELL = "tell"


class _Usual(TyperGroup):
    """A group whose first word may be left out: a prediction's id then stands in its place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [_TELL, *args]
        return super().parse_args(ctx, args)


commands = typer.Typer(
    cls=_Usual,
    help="Tell what turned out to be true of a prediction, what it was worth, or both: "
    "`serinus feedback PREDICTION_ID LABEL`, or a file of them: `serinus feedback import FILE`.",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="feedback")


@commands.command(_TELL)
def feedback(
    context: typer.Context,
    prediction_id: str,
    label: Annotated[str | None, typer.Argument(help="What was true: a number or a class.")] = None,
    value: Annotated[
        float | None, typer.Option(help="What the answer was worth to the business.")
    ] = None,
    url: GatewayUrl = None,
    as_json: Json = False,
) -> None:
    """Tell what turned out to be true of a prediction, what it was worth, or both."""
    from serinus.cli import values

    if label is None and value is None:
        raise InvalidInput(
            "there is neither a label nor a value",
            where="label, --value",
            remedy="Write serinus feedback PREDICTION_ID LABEL, --value NUMBER, or both.",
        )
    if value is not None and not math.isfinite(value):
        raise InvalidInput(
            f"a value of {value} cannot be counted", where="--value", remedy="Give a finite number."
        )
    with context.obj.client(gateway_url=url) as client:
        done = client.feedback(
            {} if label is None else {prediction_id: values.value(label)},
            value={} if value is None else {prediction_id: value},
        )
    finish(done, as_json=as_json, show=lambda out: out.print("Recorded."))


@commands.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV (perhaps .gz or .zst) or Parquet.")],
    *,
    id_column: Annotated[str, typer.Option(help="Column of the predictions' ids.")] = (
        "prediction_id"
    ),
    label_column: Annotated[
        str | None, typer.Option(help="Column of labels; `label` if there is one.")
    ] = None,
    value_column: Annotated[
        str | None, typer.Option(help="Column of business values; `value` if there is one.")
    ] = None,
    label_type: Annotated[
        Literal["auto", "number", "text", "boolean"],
        typer.Option(help="What labels are; auto decides by the first rows."),
    ] = "auto",
    delimiter: Annotated[str, typer.Option(help="Between the cells of a CSV file.")] = ",",
    skip: Annotated[int, typer.Option(help="Rows that were sent before.", min=0)] = 0,
    rows: Annotated[int, typer.Option(help="Rows of one request.", min=1)] = 1_000,
    connections: Annotated[int, typer.Option(help="Requests at a time.", min=1, max=64)] = 2,
    patience: Annotated[
        float, typer.Option(help="Seconds to go on asking a gateway that takes nothing.", min=0)
    ] = 120.0,
    rejected: Annotated[
        Path | None, typer.Option(help="Where refused rows go; FILE.rejected.csv.")
    ] = None,
    url: GatewayUrl = None,
    as_json: Json = False,
) -> None:
    """Tell what turned out of every prediction in a file.

    Ends with 0 if every row was taken, 2 if some were refused, 1 if the gateway stayed away, and
    130 after Ctrl-C. Sending a row twice counts once, so an import may simply be run again.
    """
    from serinus.client.labels import Columns, LabelFile

    columns = Columns(
        id=id_column,
        label=label_column,
        value=value_column,
        kind=label_type,
        delimiter=_delimiter(delimiter),
    )
    source = LabelFile(file, columns, skip=skip)
    pace = {"rows": rows, "connections": connections, "patience_seconds": patience}
    refused = _Rejected(rejected or Path(f"{file}.rejected.csv"), resumed=skip > 0)
    with context.obj.client(gateway_url=url) as client:
        result = _import(client, source, refused, skip, pace)
    finish(result, as_json=as_json, show=lambda out: out.print(_told(result), soft_wrap=True))
    if result["skip"] is not None or result["refused"]:
        raise typer.Exit(REFUSED if result["skip"] is None else INTERRUPTED)


def _import(
    client: Serinus, source: LabelFile, refused: _Rejected, skip: int, pace: dict[str, Any]
) -> dict[str, Any]:
    """Send a file's rows; what became of them, and how many to skip if Ctrl-C ended it."""
    from serinus import clock
    from serinus.client.predictions import Sent

    started = clock.monotonic()
    sent, interrupted = Sent(settled=skip), False
    with refused, _progress(source, skip) as move:

        def progress(now: Sent) -> None:
            nonlocal sent
            sent = now
            move(now)

        try:
            client.feedback_many(source, first=skip, refused=refused.add, progress=progress, **pace)
        except KeyboardInterrupt:
            interrupted = True
        except SerinusError as error:
            raise _with_remedy(error, sent) from error
    seconds = clock.monotonic() - started
    rows = sent.settled - skip
    return {
        "rows": rows,
        "accepted": sent.accepted,
        "refused": sent.refused,
        "rejected": str(refused.path) if sent.refused else None,
        "seconds": round(seconds, 3),
        "rows_per_second": round(rows / max(seconds, 1e-9)),
        "skip": sent.settled if interrupted else None,
    }


def _told(result: dict[str, Any]) -> str:
    text = (
        f"{result['accepted']:,} of {result['rows']:,} rows taken in {result['seconds']:.1f} s "
        f"({result['rows_per_second']:,} a second)."
    )
    if result["refused"]:
        text += f"\n{result['refused']:,} refused: {result['rejected']} has them and the reasons."
    if result["skip"] is not None:
        text += f"\nStopped. Go on with the same command and --skip {result['skip']}."
    return text


def _with_remedy(error: SerinusError, sent: Sent) -> SerinusError:
    """The same error, which also says how to go on."""
    if not sent.settled:
        return error
    further = (
        f"{sent.settled:,} rows are settled: go on with the same command and --skip {sent.settled}."
    )
    return type(error)(
        error.what,
        where=error.where,
        remedy=f"{error.remedy}\n{further}".lstrip(),
        faults=error.faults,
    )


def _delimiter(text: str) -> str:
    found = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(found) != 1 or not found.isascii():
        raise InvalidInput(
            f"{text!r} cannot stand between cells",
            where="--delimiter",
            remedy="Give one character, or tab.",
        )
    return found


class _Rejected:
    """The file of refused rows; made with the first of them.

    Args:
        path: of the file.
        resumed: whether it goes on from an earlier run; else that one's file is replaced.
    """

    def __init__(self, path: Path, *, resumed: bool) -> None:
        self.path = path
        self._resumed = resumed
        self._stack = contextlib.ExitStack()
        self._writer: Any = None

    def __enter__(self) -> _Rejected:
        if not self._resumed:
            self.path.unlink(missing_ok=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, row: Untold) -> None:
        """Write a row; its number counts rows of data from 1."""
        if self._writer is None:
            self._begin()
        self._writer.writerow((row.place + 1, row.prediction_id, row.label, row.value, row.reason))

    def _begin(self) -> None:
        fresh = not (self._resumed and self.path.exists())
        try:
            file = self.path.open("w" if fresh else "a", newline="", encoding="utf-8")
        except OSError as error:
            raise InvalidInput(
                f"refused rows cannot be written ({error.strerror})",
                where=str(self.path),
                remedy="Name another file with --rejected.",
            ) from error
        self._writer = csv.writer(self._stack.enter_context(file))
        if fresh:
            self._writer.writerow(("row", "prediction_id", "label", "value", "reason"))


@contextlib.contextmanager
def _progress(source: LabelFile, skip: int) -> Iterator[Any]:
    """A bar on standard error, if that is a terminal; a function that moves it."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from serinus import clock

    console = progress_console()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    started = clock.monotonic()
    with bar:
        task = bar.add_task("labels", total=1.0, told="")

        def move(sent: Sent) -> None:
            rate = (sent.settled - skip) / max(clock.monotonic() - started, 1e-9)
            told = f"{sent.settled:,} rows, {rate:,.0f} a second"
            if sent.refused:
                told += f", {sent.refused:,} refused"
            bar.update(task, completed=source.share_read, told=told)

        yield move
