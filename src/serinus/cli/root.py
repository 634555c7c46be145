"""The root of all commands, and the one place where an error becomes a message and a code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from serinus import settings
from serinus.cli import (
    bench,
    chaos,
    config,
    demo,
    deploy,
    deployments,
    experiments,
    feedback,
    jobs,
    ledger,
    models,
    monitor,
    predictions,
    processes,
    prove,
    rollback,
    shadows,
    smoke,
    stress,
    train,
)
from serinus.cli.session import Session, tell_error
from serinus.errors import SerinusError

app = typer.Typer(
    name="serinus",
    help="Takes models from data to production traffic on evidence, and takes them back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich would draw boxes around this list at half of the 300 ms that it may take.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: Annotated[
        str | None, typer.Option(help="Folder of all state (SERINUS_HOME).", show_default=False)
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any setting; see `config show`."),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Options for every command."""
    context.obj = Session(home, given or [])
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("serinus"))
        raise typer.Exit


for module in (processes, demo, train, predictions, feedback, prove, smoke):
    module.add_to(app)
for module in (
    models,
    deploy,
    deployments,
    experiments,
    rollback,
    shadows,
    jobs,
    monitor,
    ledger,
    config,
    bench,
    stress,
    chaos,
):
    module.add_to(app)


def main() -> None:
    """Run the command that the arguments name, and end with its code.

    0 is done, 1 a failure, 2 input that cannot be used, 130 an interruption by Ctrl-C.
    """
    settings.prepare_environment()
    try:
        app(prog_name="serinus")
    except SerinusError as error:
        tell_error(error, as_json="--json" in sys.argv)
        sys.exit(error.exit_code)
