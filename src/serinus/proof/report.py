"""Findings for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serinus.proof import claims
from serinus.proof.bars import RUNS
from serinus.proof.types import Bar, Claim, Finding

# Of a hundred and twenty letters, beside the names of the rules.
_MOST_COLUMNS = 6


def listing(known: Iterable[Claim]) -> Table:
    """The claims that can be checked."""
    table = Table("claim", "statement", box=None, pad_edge=False)
    for claim in known:
        table.add_row(claim.name, claim.statement)
    table.add_row(claims.EVERY, "Each of them, in five to ten minutes on two free cores.")
    return table


def finding(found: Finding) -> RenderableType:
    """One claim: its bars, what others reach on the same streams, and further figures."""
    notes = [
        f"{name}: " + ", ".join(f"{key} {_plain(value)}" for key, value in figures.items())
        for name, figures in found.notes.items()
    ]
    ended = f"{found.conclusion}: {found.runs:,} runs, seed {found.seed}, {found.seconds:.0f} s"
    return Group(
        Text(f"{found.claim}: {found.statement}", style="bold"),
        _ours(found.bars),
        _theirs(found.bars),
        *(Text(note, style="dim") for note in notes),
        Text(ended, style="bold"),
    )


def _ours(bars: Sequence[Bar]) -> Table:
    table = Table("", "measured", "figure", "95 % limit", "must be", "", box=box.SIMPLE_HEAD)
    for place, bar in enumerate(bars, 1):
        table.add_row(
            str(place),
            bar.name if bar.whose == "Serinus" else f"{bar.whose}: {bar.name}",
            number(bar, bar.figure)
            if bar.unit == RUNS
            else f"{number(bar, bar.figure)} {bar.unit}",
            _sure(bar),
            "" if bar.limit is None else f"{bar.relation} {number(bar, bar.limit)}",
            _word(bar),
        )
    return table


def _sure(bar: Bar) -> str:
    """The confidence limit, in brackets where it does not decide."""
    if bar.confidence_limit is None:
        return ""
    known = math.isfinite(bar.confidence_limit)
    told = number(bar, bar.confidence_limit) if known else "too few runs"
    return told if bar.by_confidence else f"({told})"


def _word(bar: Bar) -> Text:
    if bar.limit is None:
        return Text("told", style="dim")
    if bar.passed:
        return Text("holds")
    return Text("TOO FEW RUNS" if bar.unproven else "FAILS", style="bold red")


def _theirs(bars: Sequence[Bar]) -> RenderableType:
    """Rules by bars, these by their numbers: the same figure for each of them."""
    compared = [(place, bar) for place, bar in enumerate(bars, 1) if bar.others]
    return Group(*(_compared(some) for some in _chunks(compared, _MOST_COLUMNS)))


def _chunks(items: Sequence[tuple[int, Bar]], size: int) -> Iterable[Sequence[tuple[int, Bar]]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _compared(compared: Sequence[tuple[int, Bar]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("on the same streams")
    for place, _ in compared:
        table.add_column(str(place), justify="right", no_wrap=True)
    table.add_row("Serinus", *(number(bar, bar.figure) for _, bar in compared), style="bold")
    for rule in dict.fromkeys(rule for _, bar in compared for rule in bar.others):
        cells = (number(bar, bar.others[rule]) if rule in bar.others else "" for _, bar in compared)
        table.add_row(rule, *cells)
    return table


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The last line: one finding as it is, several under one roof."""
    if len(findings) == 1:
        return findings[0].as_dict()
    return {
        "claim": claims.EVERY,
        "passed": claims.passed(findings),
        "seconds": round(sum(found.seconds for found in findings), 1),
        "findings": [found.as_dict() for found in findings],
    }


def number(bar: Bar, value: float) -> str:
    """A figure of a bar in its unit: rates in per cent, counts in full."""
    if not math.isfinite(value):
        return "never"
    if bar.unit == RUNS:
        return f"{100 * value:.2f} %"
    return _plain(value)


def _plain(value: float) -> str:
    if not math.isfinite(value):
        return "never"
    if value == round(value) and abs(value) >= 1:
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
