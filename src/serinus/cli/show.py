"""How things look to a person in a terminal: tables and lines, made of the client's values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import exp

from msgspec.structs import replace
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from serinus.client import foresight, types
from serinus.client.jobs import Job
from serinus.client.monitoring import ColumnProfile, Profile
from serinus.client.predictions import Prediction

PHASE_STYLES = {
    "pending": "cyan",
    "running": "blue",
    "paused": "yellow",
    "soaking": "cyan",
    "succeeded": "green",
    "rolled_back": "red",
    "aborted": "red",
    "inconclusive": "yellow",
}
_FOLDED = 24
_WHOLE = (
    "deployment", "live deployment", "experiment", "rollback", "job",
    "phase", "state", "stage", "at",
)  # fmt: skip
_LEAST = 6
STATE_STYLES = {"harm": "red", "safe": "green", "open": "blue", "no_data": "dim"}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; numbers to the right are up to the caller's formatting.

    Ids and states are never broken over lines.
    """
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    cells = list(rows)
    for place, column in enumerate(columns):
        # An id over two lines cannot be copied; what else is too long for the line is folded, but
        # what is brief ends in the line where it began.
        widest = max((len(str(row[place])) for row in cells), default=0)
        whole = column in _WHOLE
        made.add_column(
            column,
            header_style="dim",
            overflow="fold",
            no_wrap=whole,
            min_width=max(widest if whole else min(widest, _LEAST), *map(len, column.split()), 0),
        )
    for row in cells:
        made.add_row(*(escape(str(cell)) if not isinstance(cell, Text) else cell for cell in row))
    return made


def rows(columns: Sequence[str], cells: Sequence[Sequence[object]], width: int) -> RenderableType:
    """Rows as a table where it fits, else one below the other, a line for each value."""
    texts = [[str(cell) for cell in row] for row in cells]
    widest = [
        max(len(column), *(len(row[place]) for row in texts), 0)
        for place, column in enumerate(columns)
    ]
    # What is longer than this may be folded without getting lost.
    if sum(min(number, _FOLDED) + 2 for number in widest) <= width + 2:
        return table("", columns, cells)
    names = max(map(len, columns))
    blocks = [
        "\n".join(f"{name:<{names}}  {text}" for name, text in zip(columns, row, strict=True))
        for row in texts
    ]
    return Text("\n\n".join(blocks), overflow="fold")


def when(moment: datetime | None) -> str:
    """A time in the reader's own zone, to the second."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "-"


def phase(name: str) -> Text:
    """A phase in its colour."""
    return Text(name, style=PHASE_STYLES.get(name, ""))


def brief(text: str) -> Text:
    """A reason in one line of a list, cut where the line ends."""
    return Text(" ".join(text.split()), no_wrap=True, overflow="ellipsis")


def share(value: float) -> str:
    """A share as a percentage."""
    return types.percent(value)


def models(items: Sequence[types.Model]) -> Table:
    """A list of models."""
    rows = [
        (item.name, item.champion or "-", item.deployment or "-", item.model_type, item.description)
        for item in items
    ]
    return table("", ("model", "champion", "live deployment", "type", "description"), rows)


def versions(items: Sequence[types.Version]) -> Table:
    """A model's versions with the metrics that most of them have."""
    names = _leading_metrics(items)
    rows = [
        (
            item.version,
            item.stage,
            *(_number(item.metrics.get(name)) for name in names),
            _gates(item),
            when(item.created_at),
        )
        for item in items
    ]
    return table("", ("version", "stage", *names, "gates", "registered"), rows)


def comparison(item: types.Comparison) -> RenderableType:
    """Two versions side by side."""
    heads = (item.first.version, item.second.version)
    metrics = [(name, _number(a), _number(b)) for name, (a, b) in item.metrics.items()]
    params = [(name, a, b) for name, (a, b) in item.params.items()]
    parts: list[RenderableType] = [table("Metrics", ("", *heads), metrics)]
    if params:
        parts.append(table("\nParameters that differ", ("", *heads), params))
    parts.append(
        Text("\nTrained on the same data." if item.same_data else "\nTrained on other data.")
    )
    parts += [Text(f"Breaks callers: {text}", style="yellow") for text in item.breaks]
    return Group(*parts)


def deployments(items: Sequence[types.Deployment]) -> Table:
    """A list of deployments."""
    rows = [
        (
            item.id,
            item.model,
            f"{item.champion or 'none'} → {item.versions}",
            phase(item.phase),
            item.position,
            brief(item.reason),
        )
        for item in items
    ]
    return table("", ("deployment", "model", "what", "phase", "at", "why"), rows)


def proposal(item: foresight.Proposal) -> RenderableType:
    """A plan that has not begun: its steps, how long they take, how soon harm is found."""
    told = item.forecast
    steps = [
        (number + 1, text.partition(": ")[0], text.partition(": passed when ")[2])
        for number, text in enumerate(item.words)
    ]
    waits = [(step.name, *_waiting(step.duration), words(step.slowest)) for step in told.steps]
    waits.append(("all steps", *_waiting(told.whole), ""))
    rails = [
        (words(rail.kind), f"{rail.alpha:.3f}", f"{rail.tolerance:g}" if rail.tolerance else "")
        for rail in item.plan.guardrails
    ]
    harms = [(harm.harm, harm.name, *_waiting(harm.duration)) for harm in told.harms]
    ahead = ("requests", "90 %", "hours", "90 %")
    parts: list[RenderableType] = [
        table("The plan", ("", "step", "passed when"), steps),
        table("\nGuardrails", ("guardrail", "α of a false rollback", "tolerated"), rails),
        table("\nAn equal challenger passes", ("step", *ahead, "decides last"), waits),
        table("\nA harmful one is taken back", ("harm", "at", *ahead), harms),
        Text("\nAssuming that " + "; ".join(told.assumptions) + ".", style="dim"),
        Text("\n" + item.summary, style="bold"),
    ]
    parts += [Text(f"Mind: {risk}", style="yellow") for risk in item.risks]
    parts += [Text(f"Refused: {fault.rstrip('.')}.", style="red") for fault in item.faults]
    if item.remedies:
        parts.append(Text("Any one of these would do: " + ", or ".join(item.remedies) + "."))
    return Group(*parts)


def _waiting(took: foresight.Duration) -> tuple[str, ...]:
    numbers = (took.requests, took.requests_90)
    hours = (took.hours, took.hours_90)
    unknown = took.hours is None and took.requests is not None
    return (
        *("hardly ever" if number is None else f"{number:,.0f}" for number in numbers),
        *("-" if unknown or number is None else _hours(number) for number in hours),
    )


def _hours(number: float) -> str:
    return f"{number:.2f}" if number < 1 else f"{number:.1f}" if number < 10 else f"{number:,.0f}"


def replay(item: foresight.Replay) -> RenderableType:
    """What a replay found."""
    counted = f"{item.looks:,} verdicts from {item.events:,} events in {item.folds:,} batches"
    left = (
        f"{item.unreplayable:,} older verdicts cannot be computed again: "
        "it was not yet kept which events they knew."
    )
    older = [Text(left)] if item.unreplayable else []
    if item.exact:
        exact = f"Exact: {counted} came out bit for bit; evidence {item.evidence}."
        return Group(Text(exact, "green"), *older)
    parts: list[RenderableType] = [
        Text(f"Not exact: {counted} were computed again.", "red"),
        *older,
    ]
    if not item.evidence_equal:
        parts.append(Text("The stored evidence is not what the ledger gives.", "red"))
    rows = [(when(each.at), each.fold, each.recorded, each.replayed) for each in item.mismatches]
    if rows:
        parts.append(table("", ("at", "batch", "recorded", "computed again"), rows))
    return Group(*parts)


def whatif(item: foresight.WhatIf) -> RenderableType:
    """What was decided beside what another policy would have decided."""
    recorded = {gate.step: f"{gate.requests:,}" for gate in item.recorded_passed}
    other = {gate.step: f"{gate.requests:,}" for gate in item.passed}
    rows: list[tuple[object, ...]] = [
        (f"{name} passed after", recorded.get(number, "-"), other.get(number, "-"))
        for number, name in enumerate(item.steps)
    ]
    rows += [
        ("requests and pairs", f"{item.recorded_requests:,}", f"{item.requests:,}"),
        ("decided at", when(item.recorded_at), when(item.at)),
        ("decision", words(item.recorded_outcome), words(item.outcome)),
        ("why", item.recorded_reason, item.reason),
    ]
    shown: list[RenderableType] = [table("", ("", "recorded", "under the other policy"), rows)]
    if item.compared:
        shown.append(Text(f"\n{item.compared}"))
    if item.skipped:
        left = f"{item.skipped:,} of the batches: there are many."
        shown.append(Text(f"The other policy was not asked after {left}"))
    return Group(*shown)


def words(name: str) -> str:
    """A name of the code as words."""
    return name.replace("_", " ")


def jobs(items: Sequence[Job]) -> Table:
    """A list of jobs."""
    rows = [
        (item.id, item.kind, item.state, item.progress or item.error.split("\n")[0], item.attempt)
        for item in items
    ]
    return table("", ("job", "kind", "state", "progress", "attempt"), rows)


def job(item: Job) -> RenderableType:
    """One job with what came of it, and what can be done next."""
    told = item.result or {}
    lines = [item.error] if item.error else []
    if "version" in told:
        name = f"{told['model']} {told['version']}"
        lines.append(f"Registered {name}.")
        if told.get("gates_failed"):
            lines += ["It did not pass its gates and cannot meet traffic:", *told["gates_failed"]]
        elif told.get("deployment"):
            lines.append(f"Watch it: serinus deployments watch {told['deployment']}")
        else:
            lines.append(f"Bring it to traffic: serinus deploy {name}")
    # Its error is below, in full.
    return Group(jobs([replace(item, error="")]), *(Text(line) for line in lines))


def prediction(item: Prediction) -> str:
    """One answer of the gateway."""
    chances = item.probabilities or {}
    likely = ", ".join(f"{name}: {chance:.3f}" for name, chance in chances.items())
    # An answer that no version gave is the model's default.
    by = f"{item.version}, {item.arm}" if item.version else "by its default, no version answered"
    stood_in = " (the champion stood in)" if item.fallback and item.version else ""
    return (
        f"{item.prediction}  {likely}\n"
        f"{item.model} {by}{stood_in}, revision {item.revision}, id {item.prediction_id}"
    )


def odds(log_e: float) -> str:
    """An e-value as odds to 1."""
    if log_e > 13.8:
        return "over a million"
    number = exp(log_e)
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)


def _gates(item: types.Version) -> Text:
    failed = [gate.name for gate in item.gates if not gate.passed]
    return Text("failed: " + ", ".join(failed), "red") if failed else Text("passed", "green")


def _leading_metrics(items: Sequence[types.Version]) -> list[str]:
    shown = [
        name
        for name in ("roc_auc", "accuracy", "log_loss", "r2", "mae", "rmse")
        if any(name in item.metrics for item in items)
    ]
    return shown or sorted({name for item in items for name in item.metrics})[:4]


def profile(item: Profile) -> Table:
    """What one version's traffic looked like, column by column."""
    columns = ("column", "missing", "below", "above", "infinite", "unseen", "distance")
    rows = [
        (
            column.name,
            *(_part(count, column.rows) for count in _faults(column)),
            f"{column.distance:.3f}",
        )
        for column in item.columns
    ]
    title = f"{item.model} {item.version}: {item.rows:,} rows since {when(item.since)}"
    return table(title, columns, rows)


def profiles(items: Sequence[Profile]) -> Table:
    """Profiles one below the other, each with its worst column."""
    columns = ("since", "version", "rows", "missing", "out of range", "unseen", "farthest column")
    rows = []
    for item in items:
        values = sum(column.rows for column in item.columns)
        beyond = sum((it.below or 0) + (it.above or 0) + (it.infinite or 0) for it in item.columns)
        worst = max(item.columns, key=lambda column: column.distance, default=None)
        rows.append(
            (
                when(item.since),
                item.version,
                f"{item.rows:,}",
                _part(sum(column.missing for column in item.columns), values),
                _part(beyond, values),
                _part(sum(column.unseen or 0 for column in item.columns), values),
                "-" if worst is None else f"{worst.name} ({worst.distance:.3f})",
            )
        )
    return table("", columns, rows)


def _faults(column: ColumnProfile) -> tuple[int | None, ...]:
    return (column.missing, column.below, column.above, column.infinite, column.unseen)


def _part(count: int | None, rows: int) -> str:
    """A count and its share of rows; a dash for what there cannot be, or is not."""
    return f"{count:,} ({count / rows:.1%})" if count else "-"
