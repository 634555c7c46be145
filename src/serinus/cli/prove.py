"""``serinus prove``: check what is claimed of verdicts, on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.options import Json
from serinus.cli.session import console, finish, progress_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from serinus.proof.runner import Progress
    from serinus.proof.types import Finding


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
    as_json: Json = False,
) -> None:
    """Check what is claimed of verdicts: error rates, speeds, and others' on the same streams."""
    from serinus.proof import claims, report
    from serinus.proof.runner import Runner

    if claim is None:
        known = list(claims.CLAIMS.values())
        listed = {"claims": [{"claim": one.name, "statement": one.statement} for one in known]}
        finish(listed, as_json=as_json, show=lambda out: out.print(report.listing(known)))
        return
    chosen = claims.named(claim)
    findings: list[Finding] = []
    with (
        _progress() as progress,
        Runner(claims.SEED if seed is None else seed, progress=progress) as runner,
    ):
        for one in chosen:
            findings.append(claims.check(runner, one, reps))
            if not as_json:
                console().print(report.finding(findings[-1]))
    _end(findings)


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
