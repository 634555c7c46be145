"""``serinus prove``: check what is claimed of verdicts, on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.options import Json
from serinus.cli.session import console, finish, progress_console
from serinus.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from serinus.app import App
    from serinus.delivery.types import Plan
    from serinus.proof.runner import Progress
    from serinus.proof.types import Claim, Finding
    from serinus.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(prove)


def prove(
    context: typer.Context,
    claim: Annotated[
        str | None, typer.Argument(help="Which; all for every one; without it they are listed.")
    ] = None,
    reps: Annotated[
        int | None, typer.Option(help="Runs of each trial.", min=1, show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of every run.", min=0, show_default=False)
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Of aa: on this installation's recorded traffic.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Whose traffic, with --ledger; may be left out of one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check what is claimed of verdicts: error rates, speeds, and others' on the same streams."""
    from serinus.proof import claims, report
    from serinus.proof.runner import Runner

    chosen: tuple[Claim, ...]
    if ledger or model:
        chosen = (_own(context.obj.settings(), claim, model, asked=ledger),)
    elif claim is None:
        known = list(claims.CLAIMS.values())
        listed = {"claims": [{"claim": one.name, "statement": one.statement} for one in known]}
        finish(listed, as_json=as_json, show=lambda out: out.print(report.listing(known)))
        return
    else:
        chosen = claims.named(claim)
    findings: list[Finding] = []
    screen = console()
    if not screen.is_terminal:
        # Nobody folds a table of eight columns into a file's eighty.
        screen.width = 120
    with (
        _progress() as progress,
        Runner(claims.SEED if seed is None else seed, progress=progress) as runner,
    ):
        for one in chosen:
            findings.append(claims.check(runner, one, reps))
            if not as_json:
                screen.print(report.finding(findings[-1]))
    _end(findings)


def _own(settings: Settings, claim: str | None, model: str | None, *, asked: bool) -> Claim:
    """The claim about this installation's recorded traffic and its own plan."""
    from serinus.app import App
    from serinus.proof import recorded

    if claim != "aa" or not asked:
        raise InvalidInput(
            "only aa is proved on recorded traffic",
            where="prove",
            remedy="Write `serinus prove aa --ledger`, perhaps with --model.",
        )
    if isinstance(settings.ledger, Path) and not settings.ledger.is_dir():
        raise NotFound(
            "there is no ledger: nothing was ever served here",
            where=str(settings.home),
            remedy="Name the folder of an installation with --home.",
        )
    app = App(settings)
    name = _only_model(app, model)
    plan, source = _plan(app, name)
    return recorded.claim(name, plan, recorded.gather(plan, app.ledger.scan(name)), source)


def _only_model(app: App, model: str | None) -> str:
    champions = app.registry.champions()
    if model in champions:
        return str(model)
    if model is None and len(champions) == 1:
        return next(iter(champions))
    raise NotFound(
        f"no version of {model!r} is in production" if model else "which model is not said",
        where="--model",
        remedy=f"Choose one of {', '.join(sorted(champions)) or 'none: nothing is deployed'}.",
    )


def _plan(app: App, model: str) -> tuple[Plan, str]:
    """The plan of the live or the last deployment that had steps; else the default's."""
    from serinus.delivery.planning import plan as plans
    from serinus.delivery.types import DeploymentSpec

    for deployment in app.delivery.list(model, limit=20, after=None):
        if deployment.plan.steps:
            return deployment.plan, f"The plan of deployment {deployment.id}"
    champion = app.registry.champions()[model]
    basis = plans.Basis(
        quality=plans.quality_scale(champion.task, champion.metrics),
        score_cuts=plans.score_cuts(champion.reference),
        classes=champion.manifest.classes,
    )
    spec = DeploymentSpec(model=model, challenger=champion.version)
    return plans.make_plan(spec, basis, salt="proof"), "The default plan"


def _end(findings: Sequence[Finding]) -> None:
    from serinus.proof import claims, report

    # The last line is for programs, whoever reads the table above it.
    finish(report.document(findings), as_json=True, show=_nothing)
    if not claims.passed(findings):
        raise typer.Exit(1)


def _nothing(out: Console) -> None:
    """There is nothing to show."""


@contextmanager
def _progress() -> Iterator[Progress]:
    """What tells of progress on standard error: a bar on a terminal, else a line a trial."""
    screen = progress_console()
    if not screen.is_terminal:
        quarters: dict[str, int] = {}

        def tell(name: str, done: int, runs: int) -> None:
            quarter = 4 * done // runs
            if quarters.get(name) != quarter:
                quarters[name] = quarter
                screen.print(f"{name}: {done:,} of {runs:,} runs", soft_wrap=True, markup=False)

        yield tell
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=screen, transient=True) as display:
        task = display.add_task("")
        yield lambda name, done, runs: display.update(
            task, description=name, completed=done, total=runs
        )
