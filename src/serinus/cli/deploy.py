"""``serinus deploy``: bring a version to traffic, or say how that would go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli import values
from serinus.cli.options import ControlUrl, Json
from serinus.cli.session import finish
from serinus.cli.watch import follow
from serinus.errors import InvalidInput

if TYPE_CHECKING:
    from serinus.client.foresight import Proposal
    from serinus.client.types import Deployment

# What `serinus deploy` takes; nothing said is the specification's own default.
Strategy = Annotated[str | None, typer.Option(help="canary (the default) or blue_green.")]
Shares = Annotated[str | None, typer.Option(help="Percentages of traffic, such as 5,25,50.")]
Shadow = Annotated[bool | None, typer.Option("--shadow/--no-shadow", help="Watch unseen first.")]
Labels = Annotated[
    bool | None, typer.Option("--labels/--no-labels", help="Whether labels will come.")
]
ErrorOdds = Annotated[
    float | None, typer.Option(help="Exclude so many times the champion's errors.")
]
ErrorPoints = Annotated[
    float | None, typer.Option(help="Or so much more of them: 0.005 is half a point.")
]
QualityPoints = Annotated[
    float | None, typer.Option(help="Exclude a quality worse by this: 0.02 is two points.")
]
LatencyRatio = Annotated[
    float | None, typer.Option(help="Exclude so many times the champion's p95 and p99.")
]
Unit = Annotated[str | None, typer.Option(help="Draw the arm by request or entity.")]
Entities = Annotated[int | None, typer.Option(help="How many entities there are.")]
ValueCap = Annotated[float | None, typer.Option(help="Judge business values too, clipped to this.")]
MinRequests = Annotated[int | None, typer.Option(help="Least requests of a step.")]
MaxHours = Annotated[float | None, typer.Option(help="Longest time of a step.")]
SoakSeconds = Annotated[float | None, typer.Option(help="How long the former champion stays warm.")]
Approvals = Annotated[
    bool | None, typer.Option("--approvals", help="Wait for a person after each step.")
]
Policy = Annotated[
    str | None,
    typer.Option(help="TOML, JSON or YAML file with any fields of the specification."),
]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(deploy)


def deploy(
    context: typer.Context,
    model: str,
    version: str,
    *,
    strategy: Strategy = None,
    shares: Shares = None,
    shadow: Shadow = None,
    labels: Labels = None,
    error_odds: ErrorOdds = None,
    error_points: ErrorPoints = None,
    quality_points: QualityPoints = None,
    latency_ratio: LatencyRatio = None,
    unit: Unit = None,
    entities: Entities = None,
    value_cap: ValueCap = None,
    min_requests: MinRequests = None,
    max_hours: MaxHours = None,
    soak_seconds: SoakSeconds = None,
    approvals: Approvals = None,
    policy: Policy = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen and how long it would take.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and watch it.")] = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Begin bringing a version to traffic, step by step on evidence."""
    # What the options say stands above the policy file, and only what was said is sent.
    asked = _policy(policy, ("model", "challenger")) | _said(
        strategy=strategy.replace("-", "_") if strategy else None,
        shares=_shares(shares),
        shadow=shadow,
        labels=labels,
        error_odds=error_odds,
        error_points=error_points,
        quality_points=quality_points,
        latency_ratio=latency_ratio,
        unit=unit,
        entities=entities,
        value_cap=value_cap,
        min_requests=min_requests,
        max_hours=max_hours,
        soak_seconds=soak_seconds,
        approvals=approvals,
    )
    with context.obj.client(url) as client:
        if dry_run:
            _tell_forecast(client.forecast(model, version, **asked), as_json=as_json)
            return
        begun = client.deploy(model, version, **asked)
        if watch:
            follow(client, begun.id, as_json=as_json)
            return
    _tell_begun(begun, as_json=as_json)


def _tell_begun(begun: Deployment, *, as_json: bool) -> None:
    from serinus.cli import show

    next_step = f"Watch it: serinus deployments watch {begun.id}"
    finish(
        begun,
        as_json=as_json,
        show=lambda out: out.print(show.deployments([begun]), next_step, sep="\n"),
    )


def _said(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _policy(path: str | None, fixed: tuple[str, ...]) -> dict[str, Any]:
    """The fields in a policy file; without the arguments that the command line has."""
    if path is None:
        return {}
    found = values.policy(path, option="--policy")
    return {name: value for name, value in found.items() if name not in fixed}


def _tell_forecast(proposal: Proposal, *, as_json: bool) -> None:
    from serinus.cli import show

    finish(proposal, as_json=as_json, show=lambda out: out.print(show.proposal(proposal)))
    if proposal.faults:
        raise typer.Exit(2)


def _shares(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        found = [float(part) for part in text.replace("%", "").split(",")]
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no list of percentages",
            where="--shares",
            remedy="Write percentages with commas, such as 5,25,50.",
        ) from error
    outside = [number for number in found if not 0 < number < 100]
    if outside:
        raise InvalidInput(
            f"{outside[0]:g} % is no part of the traffic",
            where="--shares",
            remedy="Write percentages above 0 and below 100 with commas, such as 5,25,50.",
        )
    if max(found) < 1:
        # The API takes 0.05 for 5 %, so this is far likelier a slip than so small a share.
        part = found[0]
        raise InvalidInput(
            f"{part:g} is {part:g} %; write {100 * part:g} for {100 * part:g} %",
            where="--shares",
            remedy="Smaller shares than 1 % are taken from a --policy file.",
        )
    return [number / 100 for number in found]
