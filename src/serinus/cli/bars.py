"""Bars, steps and numbers as a terminal shows them, in as many columns as it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, log

from rich.text import Text


@dataclass(frozen=True)
class Marks:
    """The characters that things are drawn with."""

    full: str = "━"
    half: str = "╸"
    rest: str = "─"
    done: str = "✓"
    here: str = "▶"
    next: str = "·"
    line: str = " ── "
    gap: str = " … "
    arrow: str = "→"
    dot: str = "●"


LINES = Marks()
"""For terminals that show Unicode."""
PLAIN = Marks("#", "#", "-", "x", ">", ".", " -- ", " .. ", "->", "*")
"""For those that show nothing but ASCII."""


def bar(part: float, width: int, style: str, marks: Marks = LINES) -> Text:
    """A bar of ``width`` columns, filled from 0 to 1; what is not nothing shows."""
    part = min(max(part, 0.0), 1.0)
    halves = floor(2 * width * part)
    if part > 0 and halves == 0:
        halves = 1
    full, half = divmod(halves, 2)
    drawn = marks.full * full + marks.half * half
    return Text.assemble((drawn, style), (marks.rest * (width - len(drawn)), "dim"))


def filled(log_e: float | None, bound: float) -> float:
    """How much of the way to its bound an e-value has come, from 0 to 1."""
    return 0.0 if log_e is None or bound <= 0 else min(max(log_e / bound, 0.0), 1.0)


def odds(log_e: float) -> str:
    """An e-value in at most four characters: ``<1``, ``3.2``, ``41``, ``12k``, ``>1M``."""
    if log_e > log(1e6):
        return ">1M"
    number = exp(log_e)
    if number < 1:
        return "<1"
    if number < 9.95:
        return f"{number:.1f}".removesuffix(".0")
    return f"{number:.0f}" if number < 9_999.5 else f"{number / 1_000:.0f}k"


def against(log_e: float, bound: float) -> str:
    """An e-value and what it must reach: ``3.2/100``."""
    return f"{odds(log_e)}/{odds(bound)}"


def steps(names: Sequence[str], here: int, width: int, *, over: bool, marks: Marks = LINES) -> Text:
    """The steps of a plan in a line, the present one marked; the middle is left out if need be.

    Args:
        names: of all steps.
        here: place of the present one.
        width: columns there are.
        over: whether it went all the way.
        marks: what to draw with.
    """
    shown = _fitting(names, here, width, marks)
    line = Text()
    before = -1
    for place in shown:
        if before >= 0:
            line.append(marks.line if place == before + 1 else marks.gap, "dim")
        line.append_text(_step(names[place], place - here, over=over, marks=marks))
        before = place
    return line


def _step(name: str, ahead: int, *, over: bool, marks: Marks) -> Text:
    if ahead < 0 or (over and ahead == 0):
        return Text(f"{marks.done} {name}", "green")
    return Text(f"{marks.here} {name}", "bold") if ahead == 0 else Text(name, "dim")


def _fitting(names: Sequence[str], here: int, width: int, marks: Marks) -> list[int]:
    """Places that fit: the present one, the last, the next, the first, and then around."""
    order = sorted(
        range(len(names)),
        key=lambda place: (
            place != here, place != len(names) - 1, place != here + 1, place != 0,
            abs(place - here),
        ),
    )  # fmt: skip
    chosen: list[int] = []
    room = width
    for place in order:
        room -= len(names[place]) + 2 + len(marks.line)
        if room < -len(marks.line) and chosen:
            break
        chosen.append(place)
    return sorted(chosen)


def lasting(seconds: float) -> str:
    """A stretch of time as one says it: ``40 s``, ``12 min``, ``2 h 5 min``, ``3 days``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 36:
        return f"{hours} h {rest} min" if rest and hours < 10 else f"{round(minutes / 60)} h"
    return f"{round(hours / 24)} days"


def rate(per_second: float) -> str:
    """Requests a second with two digits, or a minute where they are few."""
    if per_second >= 0.995:
        return f"{per_second:,.0f}/s" if per_second >= 9.95 else f"{per_second:.1f}/s"
    return f"{60 * per_second:.1f}/min" if per_second > 0 else "none now"


def shortened(text: str, width: int, marks: Marks = LINES) -> str:
    """A text in one line, cut where it does not fit."""
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    end = " " + marks.gap.strip()
    kept = line[: max(0, width - len(end))]
    if not line[len(kept)].isspace() and " " in kept[width // 2 :]:
        kept = kept[: kept.rindex(" ")]
    return kept.rstrip() + end
