"""One deployment on a terminal: where it is, what the evidence says, what is ahead, who did what.

Pure: everything shown is in a status, a forecast and the moment; the width decides how.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from serinus.cli import bars
from serinus.cli.bars import Marks
from serinus.cli.show import PHASE_STYLES, STATE_STYLES, words
from serinus.client.foresight import Forecast
from serinus.client.types import Assessment, DeploymentStatus, percent, step_name

NAMES = {
    "distribution": "predictions",
    "quality": "quality",
    "business": "business value",
    "shadow_errors": "errors, shadow",
    "shadow_quality": "quality, shadow",
}
"""Guardrails in at most fifteen columns; the others by their own names."""

_LABEL = 9
_NARROW = 72
_MOST_WIDE = 110
# Nobody's terminal: what is written to a file or another program.
_ENDLESS = 1_000
_WHY_LINES = 4
# Below this many lines the screen leaves out what one can look up elsewhere.
_LOW = 34


@dataclass(frozen=True)
class Sight:
    """What is looked at, when, and on what.

    ``forecast`` is of the whole plan, None while it is not known; ``away`` says since when the
    control plane does not answer, "" if it does; ``height`` 0 is as high as it takes.
    """

    status: DeploymentStatus
    now: datetime
    width: int = 80
    height: int = 0
    forecast: Forecast | None = None
    away: str = ""
    marks: Marks = bars.LINES

    @property
    def columns(self) -> int:
        """Columns beside the labels."""
        return max(20, min(self.width, _MOST_WIDE) - _LABEL - 1)

    @property
    def endless(self) -> bool:
        """Whether lines have no end, so that nothing has to be broken or cut."""
        return self.width >= _ENDLESS

    @property
    def low(self) -> bool:
        """Whether lines are few."""
        return 0 < self.height < _LOW


def screen(sight: Sight) -> RenderableType:
    """Everything, in sections with their names at the left."""
    sections: list[tuple[str, RenderableType | None]] = [
        ("steps", _steps(sight)),
        ("traffic", _traffic(sight)),
        ("evidence", _evidence(sight)),
        ("ahead", _ahead(sight)),
        ("why", _why(sight)),
        ("latest", _latest(sight)),
        ("gateways", _gateways(sight)),
        ("rollback", _rollback(sight)),
    ]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=_LABEL, style="dim", no_wrap=True)
    grid.add_column(width=None if sight.endless else sight.columns)
    for name, shown in sections:
        if shown is not None:
            grid.add_row(name, Padding(shown, (0, 0, 0 if sight.low else 1, 0)))
    parts: list[RenderableType] = [_header(sight), grid]
    if sight.away:
        parts.append(Text(sight.away, "yellow"))
    return Group(*parts)


def line(status: DeploymentStatus) -> str:
    """The same in one line, for logs: it changes when something a person cares about did."""
    item = status.deployment
    reason = status.verdict.reason if item.live and status.verdict else item.reason
    return f"{item.phase} at {item.position}: {reason}"


# ------------------------------------------------------------------ sections


def _header(sight: Sight) -> RenderableType:
    item = sight.status.deployment
    arrow = sight.marks.arrow
    title = Text.assemble(
        (item.model, "bold"), f"  {item.champion or 'none'} {arrow} {item.versions}  ",
        (words(item.strategy), "dim"),
    )  # fmt: skip
    phase = Text(
        f"{sight.marks.dot} {words(item.phase)} at {item.position}",
        PHASE_STYLES.get(item.phase, ""),
    )
    since = (item.ended_at or sight.now) - item.created_at
    verb = "for" if item.live else "took"
    by = f"asked for by {item.requested_by}, {item.created_at.astimezone():%Y-%m-%d %H:%M}"
    asked = f"{by}, {verb} {bars.lasting(since.total_seconds())}"
    if sight.status.retries:
        asked += f", begun again {_times(sight.status.retries)}"
    head = Table.grid(expand=False, padding=(0, 2))
    if len(title) + len(phase) + 2 <= sight.width:
        head.add_row(title, phase)
    else:
        head.add_row(title)
        head.add_row(phase)
    return Group(head, Text(asked, "dim"), Text(f"{item.id}\n", "dim", no_wrap=True))


def _steps(sight: Sight) -> Text:
    item = sight.status.deployment
    over = item.phase == "succeeded"
    return bars.steps(item.steps, item.step, sight.columns, over=over, marks=sight.marks)


def _traffic(sight: Sight) -> RenderableType:
    item, counts = sight.status.deployment, sight.status.counts
    shares = {version: counts.shares.get(version, 0.0) for version in item.challengers}
    shares[item.challenger] = counts.share
    told = {version: f" {percent(share)} to {version}" for version, share in shares.items()}
    if counts.mirror:
        watcher = item.champion if item.phase == "soaking" else item.challenger
        told[item.challenger] += f", {watcher} answers {percent(counts.mirror)} unseen"
    wide = max(8, min(24, sight.columns - max(map(len, told.values()))))
    split = Text("\n").join(
        bars.bar(share, wide, "yellow", sight.marks).append(told[version])
        for version, share in shares.items()
    )
    for version, why in sight.status.dropped.items():
        split.append(f"\n{version} was dropped: {why}", "red")
    table = Table.grid(padding=(0, 2))
    for _ in range(5):
        table.add_column(justify="right", no_wrap=True)
    table.columns[0].justify = "left"
    table.add_row(*(Text(name, "dim") for name in ("", "requests", "now", "failures", "labelled")))
    for arm, requests in counts.requests.items():
        if requests or arm != "shadow":
            table.add_row(*_arm(sight, arm, requests))
    return Group(split, table)


def _arm(sight: Sight, arm: str, requests: int) -> tuple[str, ...]:
    counts = sight.status.counts
    failures = counts.failures.get(arm, 0)
    part = f" {failures / requests:.2%}" if failures and requests else ""
    now = bars.rate(counts.rates[arm]) if arm in counts.rates else "-"
    return (arm, f"{requests:,}", now, f"{failures:,}{part}", f"{counts.labelled.get(arm, 0):,}")


def _evidence(sight: Sight) -> RenderableType | None:
    verdict = sight.status.verdict
    item = sight.status.deployment
    if verdict is None:
        if not item.plan.steps:
            return Text("There is no champion to compare with.", "dim")
        return Text("None yet.", "dim") if item.live else None
    numbers = sight.columns >= 48
    name = 15 if sight.width < _NARROW else 18
    fixed = name + (27 if numbers else 10)
    bar = max(4, (sight.columns - fixed) // 2)
    table = Table.grid(padding=(0, 1))
    heads = ["", "", "harm", *([""] if numbers else []), "safety", *([""] if numbers else [])]
    table.add_row(*(Text(head, "dim") for head in heads))
    hidden = 0
    for rail in sorted(verdict.guardrails, key=lambda rail: rail.log_safe is None):
        if rail.state == "no_data" and rail.log_safe is None:
            hidden += 1
            continue
        table.add_row(*_rail(rail, name, bar, numbers=numbers, marks=sight.marks))
    if not hidden:
        return table
    left = "guardrail has" if hidden == 1 else "guardrails have"
    return Group(table, Text(f"{hidden} more {left} seen nothing so far", "dim"))


def _rail(
    rail: Assessment, name: int, bar: int, *, numbers: bool, marks: Marks
) -> list[RenderableType]:
    state = Text(f"{words(rail.state):<7}", STATE_STYLES.get(rail.state, ""))
    cells: list[RenderableType] = [
        Text(bars.shortened(NAMES.get(rail.kind, words(rail.kind)), name, marks), no_wrap=True),
        state,
        bars.bar(bars.filled(rail.log_harm, rail.harm_bound), bar, "red", marks),
    ]
    if numbers:
        cells.append(Text(f"{bars.against(rail.log_harm, rail.harm_bound):<8}", "dim"))
    if rail.log_safe is None:
        cells.append(Text("not asked" if bar >= len("not asked") else "-", "dim"))
        return cells
    cells.append(bars.bar(bars.filled(rail.log_safe, rail.safe_bound), bar, "green", marks))
    if numbers:
        cells.append(Text(bars.against(rail.log_safe, rail.safe_bound), "dim"))
    return cells


def _ahead(sight: Sight) -> Text | None:
    ahead = sight.status.ahead
    if ahead is None:
        return None
    left = ahead.seconds
    if left is None and ahead.waits_for == "soak" and ahead.until is not None:
        left = (ahead.until - sight.now).total_seconds()
    text = Text()
    if left is not None and left > 0:
        text.append(f"about {bars.lasting(left)}: ", "bold")
    text.append(ahead.sentence)
    later = _later(sight)
    if later:
        text.append(f" {later}", "dim")
    return text


def _later(sight: Sight) -> str:
    """How long the steps after this one take, as far as the forecast knows."""
    item = sight.status.deployment
    if sight.forecast is None or item.phase not in ("pending", "running", "paused"):
        return ""
    steps = [step for step in sight.forecast.steps if step.step > item.step]
    if not steps:
        return ""
    names = ", ".join(step.name for step in steps)
    if any(step.duration.requests is None for step in steps):
        return f"Then {names}: hardly ever decided."
    requests = sum(step.duration.requests or 0.0 for step in steps)
    rate = sum(number for arm, number in sight.status.counts.rates.items() if arm != "shadow")
    if item.step < len(item.plan.steps) and item.plan.steps[item.step].mirror:
        rate = sight.status.counts.rates.get("shadow", 0.0)
    pace = f"about {bars.lasting(requests / rate)}" if rate > 0 else f"{requests:,.0f} requests"
    return f"Then {names}: {pace}, if the versions are equal."


def _why(sight: Sight) -> Text:
    item, verdict = sight.status.deployment, sight.status.verdict
    reason = verdict.reason if item.live and verdict else item.reason
    if item.phase == "paused":
        reason = item.reason
    if sight.endless:
        return Text(reason)
    room = sight.columns * (2 if sight.low else _WHY_LINES)
    return Text(bars.shortened(reason, room, sight.marks))


def _latest(sight: Sight) -> RenderableType | None:
    moves = sight.status.latest[-2 if sight.low else -6 :]
    if not moves:
        return None
    plan = sight.status.deployment.plan
    rows = []
    for move in reversed(moves):
        who = Text.assemble(
            (f"{move.at.astimezone():%H:%M:%S} ", "dim"),
            (words(move.to_phase), PHASE_STYLES.get(move.to_phase, "")),
            f" at {step_name(plan, move.step)} by {move.actor}  ",
        )
        room = sight.width if sight.endless else sight.columns - len(who)
        if room >= 16:
            who.append(bars.shortened(move.reason, room, sight.marks), "dim")
        rows.append(who)
    return Group(*rows)


def _gateways(sight: Sight) -> Text | None:
    item, counts = sight.status.deployment, sight.status.counts
    if not item.live and not any(worker.circuits for worker in counts.workers):
        return None
    if not counts.workers:
        return Text("no worker has reported lately", "yellow")
    wanted = f"{item.model}@{item.challenger}"
    ready = sum(wanted in worker.ready for worker in counts.workers)
    behind = sum(worker.revision < counts.revision for worker in counts.workers)
    many = "worker" if len(counts.workers) == 1 else "workers"
    text = Text(f"{ready} of {len(counts.workers)} {many} ready, revision {counts.revision}")
    if behind:
        text.append(f", {behind} still at an older one", "yellow")
    for worker in counts.workers:
        for version, state in worker.circuits.items():
            style = "red" if state == "open" else "yellow"
            text.append(f"\ncircuit {state} for {version} at {worker.worker}", style)
        for version, reason in worker.failed.items():
            text.append(f"\n{worker.worker} could not load {version}: {reason}", "red")
    return text


def _rollback(sight: Sight) -> Text | None:
    found = sight.status.rollback
    if found is None:
        return None
    return Text.assemble(
        f"{found.taken_back} {sight.marks.arrow} {found.to} ",
        (words(found.state), _ROLLBACK_STYLES.get(found.state, "yellow")),
        f" ({found.cause}), by {found.actor} at {found.started_at.astimezone():%H:%M:%S}",
    )


_ROLLBACK_STYLES = {"verified": "green", "failed": "red", "not_the_model": "red"}


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
