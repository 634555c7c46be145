"""``serinus deploy | deployments | rollback``: bring a version to traffic, watch, take it back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli import values
from serinus.cli.options import ControlUrl, Json, Limit, Reason
from serinus.cli.session import finish, first, progress_console
from serinus.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from serinus.client import Serinus
    from serinus.client.foresight import Proposal
    from serinus.client.types import Deployment, DeploymentStatus

commands = typer.Typer(help="Watch deployments and intervene.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="Its id.")]
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
    """Add these commands."""
    app.command()(deploy)
    app.add_typer(commands, name="deployments")
    app.command()(rollback)


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
            _watch(client, begun.id, as_json=as_json)
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


@commands.command("list")
def listing(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Of this model only.")] = None,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Deployments, newest first."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = first(client.deployments(model), limit)
    finish(
        {"deployments": found}, as_json=as_json, show=lambda out: out.print(show.deployments(found))
    )


@commands.command()
def status(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """One deployment: where it is, and what the evidence says."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.deployment(deployment)
    finish(found, as_json=as_json, show=lambda out: out.print(show.status(found)))


@commands.command()
def watch(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Watch a deployment until it has ended; Ctrl-C leaves it running."""
    with context.obj.client(url) as client:
        _watch(client, deployment, as_json=as_json)


def _watch(client: Serinus, deployment: str, *, as_json: bool) -> None:
    screen = progress_console()
    try:
        with _looking(screen) as look:
            ended = client.wait_for(deployment, timeout=float("inf"), progress=look)
    except KeyboardInterrupt:
        screen.print(f"The deployment goes on. Look again: serinus deployments watch {deployment}")
        raise
    finish(
        ended,
        as_json=as_json,
        show=lambda out: out.print(f"{ended.deployment.phase}: {ended.deployment.reason}"),
    )


@contextmanager
def _looking(screen: Console) -> Iterator[Callable[[DeploymentStatus], None]]:
    """What shows each look: in place on a terminal, else a line whenever something moved."""
    from rich.live import Live

    from serinus.cli import show

    if screen.is_terminal:
        with Live(console=screen, auto_refresh=False) as live:
            yield lambda status: live.update(show.status(status), refresh=True)
        return
    told: list[str] = []

    def tell(status: DeploymentStatus) -> None:
        item = status.deployment
        line = f"{item.phase} at {item.position}: {item.reason}"
        if told[-1:] != [line]:
            told.append(line)
            screen.print(line, soft_wrap=True, markup=False)

    yield tell


@commands.command()
def history(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Every move of a deployment, with who and why."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = list(client.history(deployment))
    rows = [
        (show.when(item.at), item.step, item.from_phase, show.phase(item.to_phase), item.actor,
         item.reason)
        for item in found
    ]  # fmt: skip
    columns = ("at", "step", "from", "to", "by", "why")
    finish(
        {"history": found},
        as_json=as_json,
        show=lambda out: out.print(show.table("", columns, rows)),
    )


@commands.command()
def replay(
    context: typer.Context, deployment: Id, url: ControlUrl = None, as_json: Json = False
) -> None:
    """Compute every verdict again from the ledger; fails unless all are equal, bit for bit."""
    from serinus.cli import show

    with context.obj.client(url) as client:
        found = client.replay(deployment)
    finish(found, as_json=as_json, show=lambda out: out.print(show.replay(found)))
    if not found.exact:
        raise typer.Exit(1)


@commands.command()
def whatif(
    context: typer.Context,
    deployment: Id,
    policy: Annotated[
        str, typer.Option(help="TOML, JSON or YAML file: fields of the specification to change.")
    ],
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Say what another policy would have decided on the same traffic; nothing changes."""
    from serinus.cli import show

    changes = _policy(policy, ())
    with context.obj.client(url) as client:
        found = client.whatif(deployment, changes)
    finish(found, as_json=as_json, show=lambda out: out.print(show.whatif(found)))


@commands.command()
def pause(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Hold a deployment where it is; rollback stays live."""
    with context.obj.client(url) as client:
        _tell(client.pause(deployment, reason=reason), as_json=as_json)


@commands.command()
def resume(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Go on with a paused deployment; where its gate has passed, this approves it."""
    with context.obj.client(url) as client:
        _tell(client.resume(deployment, reason=reason), as_json=as_json)


@commands.command()
def promote(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Give the challenger all traffic now, whatever the evidence says."""
    with context.obj.client(url) as client:
        _tell(client.promote(deployment, reason=reason), as_json=as_json)


@commands.command()
def abort(
    context: typer.Context,
    deployment: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Give all traffic back to the champion and end the deployment."""
    with context.obj.client(url) as client:
        _tell(client.abort(deployment, reason=reason), as_json=as_json)


def _tell(deployment: Deployment, *, as_json: bool) -> None:
    finish(
        deployment,
        as_json=as_json,
        show=lambda out: out.print(
            f"{deployment.id} is {deployment.phase} at {deployment.position}. {deployment.reason}"
        ),
    )


def rollback(
    context: typer.Context,
    model: str,
    to: Annotated[
        str | None, typer.Option(help="Version to go back to; the former champion if left out.")
    ] = None,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Take a model back at once: from a live deployment, or to an earlier version."""
    with context.obj.client(url) as client:
        done = client.rollback(model, to, reason=reason)
    finish(
        done,
        as_json=as_json,
        show=lambda out: out.print(
            f"{done.model}: {done.to} has all traffic, {done.taken_back} has none "
            f"(routing revision {done.revision})."
        ),
    )
