"""Findings for people."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from serinus.proof.types import Bar
from serinus.stress.types import Finding

_MOST_FAULTS = 20


def finding(found: Finding) -> RenderableType:
    """One proof: its bars, further figures, and what went wrong."""
    table = Table("measured", "figure", "must be", "", box=box.SIMPLE_HEAD)
    for bar in found.bars:
        limit = "" if bar.limit is None else f"{bar.relation} {_number(bar.limit)}"
        table.add_row(bar.name, f"{_number(bar.figure)} {bar.unit}".strip(), limit, _word(bar))
    notes = [
        f"{name}: " + ", ".join(f"{key} {_number(value)}" for key, value in figures.items())
        for name, figures in found.notes.items()
    ]
    faults = [f"  {escape(fault)}" for fault in found.faults[:_MOST_FAULTS]]
    if len(found.faults) > _MOST_FAULTS:
        faults.append(f"  and {len(found.faults) - _MOST_FAULTS} more")
    ended = "Holds" if found.passed else "FAILS"
    return Group(
        Text(f"{found.name}: {found.statement}", style="bold"),
        table,
        *(Text(note, style="dim") for note in notes),
        *faults,
        Text(f"{ended}: seed {found.seed}, {found.seconds:.0f} s", style="bold"),
    )


def _word(bar: Bar) -> Text:
    if bar.limit is None:
        return Text("told", style="dim")
    return Text("holds") if bar.passed else Text("FAILS", style="bold red")


def _number(value: float) -> str:
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
