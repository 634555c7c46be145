"""``serinus deploy``: bring a version to traffic, or say how that would go."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli import values
from serinus.cli.options import ControlUrl, Json
from serinus.cli.session import finish
from serinus.cli.watch import follow
from serinus.errors import InvalidInput, SerinusError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serinus.client import Serinus
    from serinus.client.foresight import Proposal
    from serinus.client.types import Deployment

# What `serinus deploy` takes; nothing said is what the model's type says, else Serinus.
Name = Annotated[str | None, typer.Argument(help="The model.", show_default=False)]
Version = Annotated[str | None, typer.Argument(help="The version.", show_default=False)]
Spec = Annotated[
    str | None,
    typer.Option(
        "--spec",
        "--policy",
        help="YAML, TOML or JSON file with any fields of the specification; model and version "
        "(challenger) may stand inside.",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="FIELD=VALUE", help="Any other field of the specification."),
]
Strategy = Annotated[
    str | None, typer.Option(help="canary (the default), shadow, blue_green, rolling or ab_test.")
]
Shares = Annotated[
    str | None, typer.Option(help="Shares of traffic, such as 5%,25%,50% or 0.05,0.25,0.5.")
]
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
MaxHours = Annotated[
    float | None, typer.Option(help="Longest time of a step; an A/B test ends then.")
]
SoakSeconds = Annotated[float | None, typer.Option(help="How long the former champion stays warm.")]
Approvals = Annotated[
    bool | None,
    typer.Option("--approvals/--no-approvals", help="Wait for a person after each step."),
]
Replicas = Annotated[int | None, typer.Option(help="Of a rolling plan; else the live workers.")]
Batch = Annotated[int | None, typer.Option(help="Replicas that a rolling plan replaces at once.")]
Others = Annotated[str | None, typer.Option(help="Further versions of an A/B test, with commas.")]
Split = Annotated[
    str | None, typer.Option(help="Share of each challenger of an A/B test, such as 20%,30%.")
]
Metric = Annotated[
    str | None, typer.Option(help="What an A/B test is judged by, such as accuracy or revenue.")
]
MinHours = Annotated[float | None, typer.Option(help="Least time of an A/B test.")]


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(deploy)


def deploy(
    context: typer.Context,
    model: Name = None,
    version: Version = None,
    *,
    spec: Spec = None,
    given: Given = None,
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
    replicas: Replicas = None,
    batch: Batch = None,
    others: Others = None,
    split: Split = None,
    metric: Metric = None,
    min_hours: MinHours = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen and how long it would take.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and watch it.")] = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Begin bringing a version to traffic, step by step on evidence.

    With --watch it exits with 1 if it ended rolled back, aborted or inconclusive.
    """
    if model is None and version is None and spec is None and not given:
        raise typer.BadParameter("name a model and a version, or a file: --spec FILE")
    asked, wrong, said = _asked(context.params)
    name, challenger = asked.pop("model", None) or "", asked.pop("challenger", None) or ""
    with context.obj.client(url) as client, _placing(spec, said):
        if wrong:
            raise refusal(client, wrong, {"model": name, "challenger": challenger, **asked})
        if dry_run:
            from msgspec.structs import replace

            proposal = client.forecast(name, challenger, **asked)
            faults = _placed(proposal.faults, spec, said)
            _tell_forecast(replace(proposal, faults=faults), as_json=as_json)
            return
        begun = client.deploy(name, challenger, **asked)
        if watch:
            follow(client, begun.id, as_json=as_json)
            return
    _tell_begun(begun, as_json=as_json)


def refusal(client: Serinus, wrong: list[InvalidInput], asked: Mapping[str, Any]) -> InvalidInput:
    """What the command line cannot even send, with every fault of the rest.

    Args:
        client: who knows the faults of what can be sent.
        wrong: what cannot.
        asked: the fields that can, with model and challenger.
    """
    try:
        faults = client.forecast(**asked).faults
    except Unavailable:
        faults = ()
    except SerinusError as error:
        faults = error.faults or (error.what,)
    if len(wrong) == 1 and not faults:
        return wrong[0]
    told = [f"{error.where}: {error.what}; {error.remedy}".rstrip("; ") for error in wrong]
    return InvalidInput(
        "this cannot be deployed", remedy="Correct each of these.", faults=(*told, *faults)
    )


def _placed(faults: Sequence[str], spec: str | None, said: Container[str]) -> tuple[str, ...]:
    """Faults with their lines in the file; that no version is named, by the argument's own name."""
    told = values.with_lines(faults, spec, said)
    named = "challenger: missing"
    return tuple(f"version ({named[:10]}){x[10:]}" if x.startswith(named) else x for x in told)


@contextmanager
def _placing(spec: str | None, said: Container[str]) -> Iterator[None]:
    """Whatever is refused is told with its places."""
    try:
        yield
    except SerinusError as error:
        error.faults = _placed(error.faults, spec, said)
        raise


def _asked(
    options: Mapping[str, Any],
) -> tuple[dict[str, Any], list[InvalidInput], frozenset[str]]:
    """The fields that were said: options above ``--with``, above the file.

    Beside them what is no field, and the names of those that are not the file's.

    Raises:
        InvalidInput: the file cannot be read.
    """
    written = values.policy(options["spec"], option="--spec") if options["spec"] else {}
    asked: dict[str, Any] = {}
    wrong: list[InvalidInput] = []
    for text in options["given"] or []:
        try:
            asked |= _given(text)
        except InvalidInput as error:
            wrong.append(error)
    said = {name: options[name] for name in options if name not in _NO_FIELDS}
    said["model"], said["challenger"] = options["model"], options["version"]
    for name in ("shares", "split"):
        said[name] = values.several(options[name])
    if options["others"]:
        said["others"] = [name.strip() for name in options["others"].split(",")]
    if options["strategy"]:
        said["strategy"] = options["strategy"].replace("-", "_")
    asked |= {name: value for name, value in said.items() if value is not None}
    return {**written, **asked}, wrong, frozenset(asked)


def _given(text: str) -> dict[str, Any]:
    ((name, value),) = values.pairs([text], option="--with").items()
    lists = isinstance(value, str) and value.startswith(("[", "{"))
    return {name: values.document(value, option=f"--with {name}") if lists else value}


_NO_FIELDS = ("spec", "given", "version", "dry_run", "watch", "url", "as_json")


def _tell_begun(begun: Deployment, *, as_json: bool) -> None:
    from serinus.cli import show

    next_step = f"Watch it: serinus deployments watch {begun.id}"
    finish(
        begun,
        as_json=as_json,
        show=lambda out: out.print(show.deployments([begun]), next_step, sep="\n"),
    )


def _tell_forecast(proposal: Proposal, *, as_json: bool) -> None:
    from serinus.cli import show

    finish(proposal, as_json=as_json, show=lambda out: out.print(show.proposal(proposal)))
    if proposal.faults:
        raise typer.Exit(2)
