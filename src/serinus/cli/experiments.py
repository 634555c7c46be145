"""``serinus experiments``: begin A/B tests, read what they say, bring winners to production."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from serinus.cli import values
from serinus.cli.options import ControlUrl, Json, Limit, Reason
from serinus.cli.session import finish, first
from serinus.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from serinus.client import Serinus
    from serinus.client.experiments import Evaluation, Interval
    from serinus.client.foresight import Proposal

T = TypeVar("T")

commands = typer.Typer(help="A/B tests over versions there are.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its id, or a model for its newest.")]
Others = Annotated[
    list[str] | None,
    typer.Option("--other", "--others", help="Further challengers, with commas."),
]
AutoPromote = Annotated[
    bool | None,
    typer.Option("--auto-promote/--no-auto-promote", help="Promote a winner by itself."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would happen, and what it can find.")
]
Model = Annotated[str | None, typer.Option(help="Of this model only.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(commands, name="experiments")


@commands.command("start")
def start(
    context: typer.Context,
    model: str,
    version: Annotated[str, typer.Argument(help="The challenger.")],
    *,
    other: Others = None,
    split: Annotated[
        str | None, typer.Option(help="Shares of the challengers, such as 50% or 0.25,0.25.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What success is: accuracy, recall:fraud, mae, revenue …")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="Planned units of all versions; see `experiments power`.")
    ] = None,
    min_hours: Annotated[float | None, typer.Option(help="Shortest time.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="Longest time.")] = None,
    confidence: Annotated[float | None, typer.Option(help="Such as 0.95.")] = None,
    covariate: Annotated[
        str | None, typer.Option(help="An input of numbers that explains part of the metric.")
    ] = None,
    allocation: Annotated[str | None, typer.Option(help="fixed (the default) or thompson.")] = None,
    unit: Annotated[str | None, typer.Option(help="Draw and count by request or entity.")] = None,
    labels: Annotated[
        bool | None, typer.Option("--labels/--no-labels", help="Whether labels will come.")
    ] = None,
    auto_promote: AutoPromote = None,
    dry_run: DryRun = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Begin an A/B test of a version, or of several, against the champion."""
    said = {
        "others": [name.strip() for text in other or () for name in text.split(",")] or None,
        "split": values.several(split),
        "metric": metric,
        "min_requests": sample,
        "min_hours": min_hours,
        "max_hours": max_hours,
        "confidence": confidence,
        "covariate": covariate,
        "allocation": allocation,
        "unit": unit,
        "labels": labels,
        "auto_promote": auto_promote,
    }
    asked = {name: value for name, value in said.items() if value is not None}
    with context.obj.client(url) as client:
        if dry_run:
            proposal = client.forecast(model, version, strategy="ab_test", **asked)
            finish(proposal, as_json=as_json, show=lambda out: _show_proposal(out, proposal))
            if proposal.faults:
                raise typer.Exit(2)
            return
        begun = client.start_experiment(model, version, **asked)
    line = f"{begun.id} has begun. See what it says: serinus experiments evaluate {begun.id}"
    # A command over two lines cannot be copied.
    finish(begun, as_json=as_json, show=lambda out: out.print(line, soft_wrap=True))


@commands.command("list")
def listing(
    context: typer.Context,
    model: Model = None,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Experiments that still run."""
    _list(context, model, limit, url, as_json=as_json, live=True)


@commands.command("history")
def history(
    context: typer.Context,
    model: Model = None,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """All experiments with how they ended, newest first."""
    _list(context, model, limit, url, as_json=as_json, live=False)


def _list(
    context: typer.Context,
    model: str | None,
    limit: int,
    url: str | None,
    *,
    as_json: bool,
    live: bool,
) -> None:
    with context.obj.client(url) as client:
        found = first(client.experiments(model=model, live=live or None), limit)

    from serinus.cli.show import brief, phase, table

    def show(out: Console) -> None:
        rows = [
            (
                item.id,
                item.model,
                f"{item.champion} → {item.versions}",
                phase(item.phase),
                brief(item.reason),
            )
            for item in found
        ]
        heads = ("experiment", "model", "what", "phase", "what came of it")
        out.print(table("", heads, rows) if found else "There is none.")

    finish(found, as_json=as_json, show=show)


@commands.command("show")
@commands.command("evaluate")
def evaluate(
    context: typer.Context, experiment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """What may be said now: a table and one sentence."""
    with context.obj.client(url) as client:
        found = _of(client, experiment, client.evaluate)
    finish(found, as_json=as_json, show=lambda out: show_evaluation(out, found))


@commands.command("promote-winner")
def promote_winner(
    context: typer.Context,
    experiment: Id,
    version: Annotated[str | None, typer.Option(help="The winner, to be sure.")] = None,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Bring the proven winner to production now."""
    with context.obj.client(url) as client:
        done = _of(
            client,
            experiment,
            lambda it: client.promote_winner(it, version=version, reason=reason),
        )
    line = f"{done.challenger} has all traffic of {done.model}; {done.champion} is kept warm."
    finish(done, as_json=as_json, show=lambda out: out.print(line))


@commands.command("power")
def power(
    context: typer.Context,
    effect: Annotated[float, typer.Argument(help="The smallest difference worth finding.")],
    *,
    rate: Annotated[
        str | None,
        typer.Option(help="The champion's rate, of accuracy or conversion: 10% or 0.1."),
    ] = None,
    deviation: Annotated[
        float | None, typer.Option(help="Or the deviation between units, of mae or revenue.")
    ] = None,
    challengers: Annotated[int, typer.Option(help="How many there are.", min=1)] = 1,
    share: Annotated[
        str | None, typer.Option(help="Of each challenger, such as 25% or 0.25.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Such as 0.95.")] = 0.95,
    chance: Annotated[float, typer.Option(help="Of finding it, if it is there.")] = 0.8,
    as_json: Json = False,
) -> None:
    """How many units (requests or entities) an experiment needs to find a difference."""
    from math import ceil

    from serinus.stats import power as solver

    part = 1.0 / (challengers + 1) if share is None else _share(share, "--share")
    usual = None if rate is None else _share(rate, "--rate")
    champion = 1.0 - part * challengers
    if not 0.0 < champion < 1.0 or (usual is None) == (deviation is None):
        raise InvalidInput(
            "give either --rate or --deviation, and shares that leave the champion some traffic",
            where="serinus experiments power",
        )
    alpha = (1.0 - confidence) / challengers
    solve = solver.means_units if usual is None else solver.proportions_units
    ends = (effect, deviation or 0.0) if usual is None else (usual, usual + effect)
    needed = solve(*ends, power=chance, share=part / (part + champion), alpha=alpha)
    units = ceil(needed / (part + champion))
    line = (
        f"{units:,} units of all versions find a difference of {effect:g} with a chance of "
        f"{chance:.0%} at {confidence:.0%} confidence: serinus experiments start … --sample {units}"
    )
    finish({"units": units}, as_json=as_json, show=lambda out: out.print(line))


def _share(text: str, option: str) -> float:
    """A share as a plan takes it.

    Raises:
        InvalidInput: it is none.
    """
    from serinus.delivery.planning import shares

    try:
        return shares.read(values.value(text))
    except ValueError as error:
        raise InvalidInput(str(error), where=option) from error


def _of(client: Serinus, name: str, ask: Callable[[str], T]) -> T:
    """What an experiment answers, named by its id or by the model whose newest one it is.

    Raises:
        NotFound: there is neither.
    """
    try:
        return ask(name)
    except NotFound as unknown:
        newest = first(client.experiments(model=name), 1)
        if not newest:
            raise NotFound(
                f"{name!r} is neither an experiment nor a model that has one",
                remedy="`serinus experiments history` names them.",
            ) from unknown
        return ask(newest[0].id)


# ------------------------------------------------------------------ for people


def show_evaluation(out: Console, found: Evaluation) -> None:
    """Print an evaluation: its view, a table of versions, and the recommendation."""
    from rich.text import Text

    unit = f" ({found.unit})" if found.unit else ""
    out.print(Text(f"{found.title}, {found.model} by {found.metric}{unit}", style="bold"))
    table = _table("version", "share", f"{found.counted_by}s", "labelled", found.metric)
    # Where a line is too short an interval takes several, but no number of it is ever cut.
    table.collapse_padding = True
    for name, least in (("difference", 11), ("relative", 8), ("p", None), ("", None)):
        table.add_column(name, justify="right" if name else "left", min_width=least)
    findings = {item.version: item for item in found.findings}
    for arm in found.arms:
        item = findings.get(arm.version) if arm.role == "challenger" else None
        table.add_row(
            arm.version,
            f"{arm.share:.1%}",
            f"{arm.units:,}",
            "" if arm.labelled is None else f"{arm.labelled:.1%}",
            "" if arm.value is None else f"{arm.value:.4g}",
            _interval(item.difference if item else None),
            _interval(item.relative if item else None, percent=True),
            "" if item is None or item.p_adjusted is None else f"{item.p_adjusted:.2g}",
            "champion" if item is None else item.state,
        )
    out.print(table)
    for item in found.findings:
        for test in item.tests:
            out.print(
                f"{item.version}: {test.name} p = {test.p_value:.2g}, {test.effect} "
                f"{_interval(test.estimate)}"
            )
        if item.reduction is not None:
            out.print(f"{item.version}: the covariate took {item.reduction:.0%} of the variance.")
        if item.segments:
            out.print(_segments(item.version, item.segments))
    for note in (found.validity, *found.notes):
        out.print(Text(note, style="dim"))
    out.print(Text(found.recommendation.sentence, style="bold"))


def _segments(version: str, segments: Any) -> Table:
    table = _table("where", "group", "units", f"difference of {version}")
    for item in segments:
        table.add_row(item.feature, item.group, f"{item.units:,}", _interval(item.difference))
    return table


def _show_proposal(out: Console, proposal: Proposal) -> None:
    for line in (*proposal.words, proposal.summary):
        out.print(line)
    for fault in proposal.faults:
        out.print(f"Refused: {fault}")


def _interval(estimate: Interval | None, *, percent: bool = False) -> str:
    if estimate is None:
        return ""
    form = "{:+.1%}" if percent else "{:+.4g}"
    value, low, high = (
        form.format(number) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})"


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        # An id that is cut off cannot be copied.
        table.add_column(name, no_wrap=name == "experiment")
    return table
