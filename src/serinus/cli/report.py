"""All that is known of a deployment, to be read: what was asked, what came, why, and who did it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.text import Text

from serinus.cli.screen import Sight, screen
from serinus.cli.show import STATE_STYLES, odds, phase, table, when, words
from serinus.client.types import (
    Assessment,
    Counts,
    DeploymentStatus,
    Plan,
    Transition,
    percent,
    step_name,
)

_NARROW = 100


def report(
    status: DeploymentStatus, history: Sequence[Transition], now: datetime, width: int
) -> RenderableType:
    """Where it is, the evidence in words, labels, and its whole history."""
    parts: list[RenderableType] = [screen(Sight(status, now, width))]
    if status.verdict is not None:
        parts += [Text("Evidence", "bold"), evidence(status.verdict.guardrails, width), Text()]
    parts.append(Text(told(status.counts), "dim"))
    parts += [Text("\nHistory", "bold"), moves(history, status.deployment.plan)]
    return Group(*parts)


def evidence(rails: Sequence[Assessment], width: int) -> RenderableType:
    """Each guardrail's odds and its sentence, in a table or one below the other."""
    if width >= _NARROW:
        rows = [
            (words(rail.kind), _state(rail), _harm(rail), _safety(rail), rail.sentence)
            for rail in rails
        ]
        columns = ("guardrail", "state", "odds of harm", "odds of safety", "in words")
        return table("", columns, rows)
    return Group(
        *(
            Group(
                Text.assemble(
                    f"{words(rail.kind)}  ", _state(rail),
                    (f"  harm {_harm(rail)}, safety {_safety(rail)}", "dim"),
                ),
                Text(f"  {rail.sentence}", "dim"),
            )
            for rail in rails
        )
    )  # fmt: skip


def moves(history: Sequence[Transition], plan: Plan) -> RenderableType:
    """Every transition, oldest first: when, where to, who, why. Retries are numbered."""
    parts: list[RenderableType] = []
    begun = 0
    for move in history:
        again = move.to_phase == "pending" and move.from_phase != "pending"
        begun += again
        mark = f"  retry {begun}" if again else ""
        parts.append(
            Text.assemble(
                (f"{when(move.at)}  ", "dim"), phase(move.to_phase),
                f" at {_place(plan, move.step)} by {move.actor}", (mark, "bold yellow"),
            )
        )  # fmt: skip
        if move.reason:
            parts.append(Text(f"  {move.reason}", "dim"))
    return Group(*parts)


def _place(plan: Plan, step: int) -> str:
    """A step in words; of several challengers each with its own share."""
    test = plan.experiment
    if test is None or len(test.challengers) == 1 or step >= len(plan.steps):
        return step_name(plan, step)
    return ", ".join(
        f"{version} {percent(share)}"
        for version, share in zip(test.challengers, test.split, strict=True)
    )


def told(counts: Counts) -> str:
    """How many labels and values came, and how many of them wait."""
    came = ", ".join(f"{number:,} {what}" for what, number in counts.told.items() if number)
    if not came:
        return "no label has come yet"
    return f"{came} came in all" + (f"; {_delayed(counts)}" if counts.delayed else "")


def _delayed(counts: Counts) -> str:
    labels = "label waits" if counts.delayed == 1 else "labels wait"
    return (
        f"{counts.delayed:,} {labels} for an earlier request that has none yet, at most until "
        f"{when(counts.delayed_until)} (label_window_seconds)"
    )


def _state(rail: Assessment) -> Text:
    return Text(words(rail.state), style=STATE_STYLES.get(rail.state, ""))


def _harm(rail: Assessment) -> str:
    return f"{odds(rail.log_harm)} of {odds(rail.harm_bound)}"


def _safety(rail: Assessment) -> str:
    if rail.log_safe is None:
        return "not asked"
    return f"{odds(rail.log_safe)} of {odds(rail.safe_bound)}"
