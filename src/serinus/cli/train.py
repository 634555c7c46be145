"""``serinus train``: from a file to a registered version, in this process."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serinus.cli import values
from serinus.cli.options import Home, Json, Reason
from serinus.cli.session import finish, progress_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from serinus.app import App
    from serinus.training.pipeline import TrainingResult
    from serinus.training.spec import TrainingSpec


# What a training is asked for with, here and of a worker (`serinus jobs train`).
Model = Annotated[str, typer.Option(help="The name to register under.")]
Target = Annotated[str, typer.Option(help="The column to predict.")]
Algorithm = Annotated[str, typer.Option(help="auto, or an algorithm's name.")]
Param = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="The algorithm's own parameter.")
]
TestSize = Annotated[float, typer.Option(help="Share of rows that judge the model.")]
Seed = Annotated[int, typer.Option(help="Decides split and fit.")]
TimeColumn = Annotated[str, typer.Option(help="Split by this column of times.")]
Version = Annotated[str | None, typer.Option(help="Instead of the next version.")]
Description = Annotated[str, typer.Option(help="Kept with the version.")]
Deploy = Annotated[bool, typer.Option("--deploy", help="Begin a deployment of what passes.")]

_MOST_CLASSES = 5
_ASKED = (
    "model", "target", "algorithm", "test_size", "seed", "time_column", "version", "description",
    "reason",
)  # fmt: skip


def asked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a training, but for its data, that options say.

    Raises:
        InvalidInput: a ``--param`` is not of the form NAME=VALUE.
    """
    params = values.pairs(options["param"] or [], option="--param")
    return {**{name: options[name] for name in _ASKED}, "params": params}


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(train)


def train(
    context: typer.Context,
    *,
    data: Annotated[str, typer.Option(help="A CSV or Parquet file, or a bundled set's name.")],
    model: Model,
    target: Target = "target",
    algorithm: Algorithm = "auto",
    param: Param = None,
    test_size: TestSize = 0.2,
    seed: Seed = 0,
    time_column: TimeColumn = "",
    version: Version = None,
    description: Description = "",
    reason: Reason = "",
    deploy: Deploy = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Train a model, judge it against its gates and its champion, and register it."""
    from serinus.app import App
    from serinus.processes import home as folder
    from serinus.training.spec import TrainingSpec, check

    settings = context.obj.settings(home=home)
    spec = TrainingSpec(data=data, **asked(context.params))
    check(spec)
    folder.prepare(settings.home)
    app = App(settings)
    result = _run(app, spec)
    deployment = None
    if deploy:
        wanted = {"model": model, "challenger": result.version.version}
        deployment = app.delivery.create(wanted, actor="cli").id
    finish(
        {**result.to_dict(), "deployment": deployment},
        as_json=as_json,
        show=_showing(result, deployment),
    )


def _run(app: App, spec: TrainingSpec) -> TrainingResult:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from serinus.training import pipeline

    # What libraries advise their callers is nothing that a person here could act on.
    warnings.simplefilter("ignore")
    screen = progress_console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=screen, transient=True) as bar:
            task = bar.add_task("starting", total=1.0)

            def progress(stage: str, done: float) -> None:
                bar.update(task, description=stage, completed=done)

            return pipeline.train(spec, registry=app.registry, types=app.types, progress=progress)
    except KeyboardInterrupt:
        screen.print("Interrupted. Nothing was registered, nothing is left running.")
        raise


def _data(result: TrainingResult) -> Iterator[str]:
    """What was learned from: rows, columns, what was left out and why, and the classes."""
    report, inputs = result.validation, result.version.manifest.inputs
    yield f"Read {report.rows:,} rows of {report.columns} columns; {len(inputs)} are inputs."
    for finding in report.warnings:
        if finding.place != "header":
            yield f"Mind: {finding}"
    shown = [f"{name} {part:.1%}" for name, part in result.classes.items()][:_MOST_CLASSES]
    if shown:
        left = len(result.classes) - len(shown)
        more = f", and {left} rarer" if left else ""
        yield f"Classes of {result.version.manifest.target}: {', '.join(shown)}{more}."


def _showing(result: TrainingResult, deployment: str | None) -> Callable[[Any], None]:
    from serinus.cli import show

    version = result.version
    name = f"{version.model} {version.version}"
    gates = [
        (gate.name, "passed" if gate.passed else "FAILED", gate.detail) for gate in version.gates
    ]
    if version.failed_gates:
        ahead = f"Registered {name}, but it did not pass its gates and cannot meet traffic."
    elif deployment:
        ahead = f"Registered {name}. Watch it: serinus deployments watch {deployment}"
    else:
        ahead = (
            f"Registered {name}. Bring it to traffic: "
            f"serinus deploy {version.model} {version.version}"
        )
    metrics = [(metric, f"{value:.4g}") for metric, value in sorted(version.metrics.items())]

    def present(out: Any) -> None:
        for line in _data(result):
            out.print(line, soft_wrap=True, markup=False)
        out.print()
        out.print(show.table("Metrics on rows not learned from", ("metric", "value"), metrics))
        out.print()
        out.print(show.table("Gates", ("gate", "", "why"), gates))
        for finding in result.validation.findings:
            if finding.place == "header":
                out.print(f"\n{finding}", soft_wrap=True, markup=False)
        out.print(f"\n{ahead}", soft_wrap=True)

    return present
