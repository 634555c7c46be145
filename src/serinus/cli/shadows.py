"""``serinus deployments shadow``: what two versions answered to the same requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli import watch
from serinus.cli.deployments import Which, commands
from serinus.cli.options import ControlUrl, Json
from serinus.cli.session import finish

if TYPE_CHECKING:
    from rich.console import Console

    from serinus.client.shadows import Interval, Latency, ShadowReport

_SEGMENTS, _MOVERS = 8, 5


def add_to(app: typer.Typer) -> None:
    """Add this command to those of deployments."""
    commands.command()(shadow)


def shadow(
    context: typer.Context,
    deployment: Which,
    *,
    pairs: Annotated[
        int | None, typer.Option(help="At most so many, the newest.", min=1, show_default=False)
    ] = None,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Where the two versions differ, how much of it is noise, and who was right."""
    with context.obj.client(url) as client:
        found = client.shadow_report(watch.identity(client, deployment), pairs=pairs)
    finish(found, as_json=as_json, show=lambda out: _show(out, found))


def _show(out: Console, found: ShadowReport) -> None:
    from rich.markup import escape

    from serinus.cli import show

    out.print(f"[bold]{escape(found.conclusion)}[/]\n")
    out.print(show.table("", ("", "champion", "challenger", ""), _rows(found)))
    if found.confusion is not None and found.differing.flips:
        names = found.confusion.classes
        rows = zip(names, found.confusion.counts, strict=True)
        out.print()
        out.print(
            show.table(
                "Answers: champion by challenger",
                ("champion", *names),
                [(name, *(f"{count:,}" for count in counts)) for name, counts in rows],
            )
        )
    if found.segments and found.differing.flips:
        out.print()
        out.print(
            show.table(
                f"Where they differ: the likeliest of {found.tested:,} segments",
                ("feature", "value", "differ", "of pairs", "odds that more than elsewhere"),
                [
                    (
                        item.feature,
                        item.bin,
                        f"{item.rate:.2%}",
                        f"{item.pairs:,}",
                        f"{_odds(item.odds)} to 1{', proven' if item.proven else ''}",
                    )
                    for item in found.segments[:_SEGMENTS]
                ],
            )
        )
    if found.shift is not None and found.shift.movers:
        out.print()
        out.print(
            show.table(
                "Scores that moved most",
                ("prediction", "champion", "challenger"),
                [
                    (item.prediction, f"{item.champion:.4g}", f"{item.challenger:.4g}")
                    for item in found.shift.movers[:_MOVERS]
                ],
            )
        )
    for rail in found.guardrails:
        out.print(f"\n{escape(rail.sentence)}", style=show.STATE_STYLES.get(rail.state, ""))
    out.print(_read(found), style="dim")


def _rows(found: ShadowReport) -> list[tuple[str, str, str, str]]:
    failed, differing, shift = found.failures, found.differing, found.shift
    rows = [
        ("failed", f"{failed.champion:,}", f"{failed.challenger:,}", f"both {failed.both:,}"),
        (
            "differs from the champion's answer",
            "not asked twice" if differing.noise is None else f"{differing.noise:.2%}",
            f"{differing.rate:.2%}",
            f"excess {_interval(differing.excess, percent=True)}",
        ),
    ]
    if shift is not None:
        spread = f"p1 {shift.quantiles['p1']:.4g}, p99 {shift.quantiles['p99']:.4g}"
        rows.append(("score moved by", "", _interval(shift.mean), spread))
    if found.labelled is not None:
        known = found.labelled
        rows += [
            (
                "loss",
                f"{known.champion_loss:.4f}",
                f"{known.challenger_loss:.4f}",
                f"{known.labels:,} labels, difference {_interval(known.excess)}",
            ),
            ("alone the better", f"{known.champion_better:,}", f"{known.challenger_better:,}", ""),
        ]
    mine, theirs = found.challenger_latency, found.champion_latency
    rows.append(("p50 / p95 / p99 ms", _latency(theirs), _latency(mine), "in its own batches"))
    return rows


def _read(found: ShadowReport) -> str:
    told = f"\n{found.pairs:,} of {found.of:,} pairs were read"
    if found.soak:
        told += f", {found.soak:,} of them of the soak"
    if found.missing:
        told += f"; {found.missing:,} batches are no longer in the ledger"
    return f"{told}."


def _interval(found: Interval, *, percent: bool = False) -> str:
    def words(value: float | None) -> str:
        return "?" if value is None else f"{value:.2%}" if percent else f"{value:.4g}"

    return f"{words(found.value)} ({words(found.low)} to {words(found.high)})"


def _latency(found: Latency | None) -> str:
    return "-" if found is None else f"{found.p50:.1f} / {found.p95:.1f} / {found.p99:.1f}"


def _odds(odds: float) -> str:
    if odds > 1e6:
        return "over a million"
    return f"{odds:,.0f}" if odds >= 10 else f"{odds:.2g}"
