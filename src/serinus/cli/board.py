"""All deployments on a terminal, each in a line; as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serinus.cli import bars
from serinus.cli.bars import Marks
from serinus.cli.show import PHASE_STYLES, words
from serinus.client.watching import Glance

# Widths at which a column still leaves room for the others.
_WITH_REQUESTS, _WITH_TIME, _WITH_REASON = 64, 76, 110
_NARROWEST = 48


def board(
    glances: Sequence[Glance],
    now: datetime,
    width: int,
    *,
    height: int = 0,
    away: str = "",
    marks: Marks = bars.LINES,
) -> RenderableType:
    """All deployments: those that need a person first, then the live ones, then those that ended.

    Args:
        glances: of the deployments.
        now: the moment.
        width: columns there are.
        height: lines there are; 0 is as many as it takes.
        away: since when the control plane does not answer, "" if it does.
        marks: what to draw with.
    """
    if not glances:
        return Text(away or "No deployment is live. Begin one: serinus deploy MODEL VERSION")
    ordered = sorted(glances, key=_urgency)
    room = max(3, height - 4) if height else len(ordered)
    table = Table.grid(padding=(0, 2))
    heads = ["model", "versions", "phase", "at"]
    heads += [name for name, least in _MORE if width >= least]
    table.add_row(*(Text(head, "dim") for head in heads))
    for column in table.columns:
        column.no_wrap = True
        column.overflow = "ellipsis"
    for item in ordered[:room]:
        table.add_row(*_cells(item, now, width, marks))
    live = sum(item.live for item in glances)
    summary = f"{live} live, {len(glances) - live} ended since the watch began"
    if len(ordered) > room:
        summary += f"; {len(ordered) - room} do not fit on the screen"
    parts: list[RenderableType] = [table, Text(f"\n{summary}", "dim")]
    if away:
        parts.append(Text(away, "yellow"))
    return Group(*parts)


_MORE = (("requests", _WITH_REQUESTS), ("since", _WITH_TIME), ("why", _WITH_REASON))


def line(item: Glance) -> str:
    """One deployment in a line of a log, with who was taken out of its test."""
    out = "".join(f" {version} was dropped: {why}" for version, why in item.dropped.items())
    return f"{item.model} {item.versions} {item.phase} at {item.position}: {item.reason}{out}"


def _urgency(item: Glance) -> tuple[int, str]:
    order = {"paused": 0, "running": 1, "soaking": 2, "pending": 3}
    return (order.get(item.phase, 4), item.model)


def _cells(item: Glance, now: datetime, width: int, marks: Marks) -> list[RenderableType]:
    versions = f"{item.champion or 'none'} {marks.arrow} {item.versions}"
    part = min(item.step, len(item.steps) - 1) / max(1, len(item.steps) - 1)
    cells: list[RenderableType] = [
        Text(bars.shortened(item.model, max(8, width // 5), marks), "bold"),
        Text(bars.shortened(versions, max(12, width // 4), marks)),
        Text(words(item.phase), PHASE_STYLES.get(item.phase, "")),
        Text.assemble(
            bars.bar(part, 6, "yellow", marks) if width >= _NARROWEST + 12 else "",
            f" {item.position}",
        ),
    ]
    since = (item.ended_at or now) - item.created_at
    more = {
        "requests": Text(f"{item.requests:,}"),
        "since": Text(bars.lasting(since.total_seconds()), "dim"),
        "why": Text(bars.shortened(item.reason, max(20, width - 90), marks), "dim"),
    }
    return cells + [more[name] for name, least in _MORE if width >= least]
