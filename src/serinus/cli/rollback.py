"""``serinus rollback | rollbacks | default``: take a model back, see whether that has helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from serinus import clock
from serinus.cli.options import ControlUrl, Json, Limit, Reason
from serinus.cli.session import finish, first
from serinus.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from rich.console import Console

    from serinus.client import Serinus
    from serinus.client.rollbacks import DefaultAnswer, Rollback, RollbackPlan

commands = typer.Typer(help="Look at rollbacks.", no_args_is_help=True)
default = typer.Typer(help="What a model answers where no version can.", no_args_is_help=True)

_MINUTES = 30.0

Id = Annotated[str, typer.Argument(metavar="ROLLBACK", help="Its id.")]
Which = Annotated[
    str, typer.Argument(metavar="ROLLBACK", help="Its id, or a model for its newest.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(rollback)
    app.add_typer(commands, name="rollbacks")
    app.add_typer(default, name="default")


def rollback(
    context: typer.Context,
    model: str,
    to: Annotated[
        str | None, typer.Option(help="Version to go back to; the former champion if left out.")
    ] = None,
    reason: Reason = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the written plan and do nothing.")
    ] = False,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Take a model back at once: from a live deployment, or to an earlier version."""
    with context.obj.client(url) as client:
        if dry_run:
            written = client.rollback_plan(model, to)
            finish(written, as_json=as_json, show=lambda out: _show_plan(out, written))
            return
        done = client.rollback(model, to, reason=reason)
    finish(done, as_json=as_json, show=lambda out: out.print(_line(done)))


@commands.command("list")
def listing(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Of this model only.")] = None,
    limit: Limit = 20,
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Rollbacks, newest first."""
    with context.obj.client(url) as client:
        found = first(client.rollbacks(model), limit)
    finish({"rollbacks": found}, as_json=as_json, show=lambda out: _show_all(out, found))


@commands.command()
def show(
    context: typer.Context, rollback_id: Which, url: ControlUrl = None, as_json: Json = False
) -> None:
    """One rollback: its plan, its history, and what was found."""
    with context.obj.client(url) as client:
        found = _named(client, rollback_id)
    finish(found, as_json=as_json, show=lambda out: _show(out, found))


@commands.command()
def decline(
    context: typer.Context,
    rollback_id: Id,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Do not carry out what was proposed, or is still being loaded."""
    with context.obj.client(url) as client:
        done = client.decline_rollback(rollback_id, reason=reason)
    finish(done, as_json=as_json, show=lambda out: out.print(_line(done)))


@default.command("set")
def set_default(
    context: typer.Context,
    model: str,
    value: Annotated[str, typer.Argument(help="A class or a number, as JSON or as plain text.")],
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Have a model answer this where none of its versions can."""
    with context.obj.client(url) as client:
        made = client.set_default(model, _answer(value), reason=reason)
    finish(
        made,
        as_json=as_json,
        show=lambda out: out.print(f"{model} answers {made.answer!r} where no version can."),
    )


@default.command("clear")
def clear_default(
    context: typer.Context,
    model: str,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Have a model answer with its failure again."""
    with context.obj.client(url) as client:
        left = client.clear_default(model, reason=reason)
    finish(left, as_json=as_json, show=lambda out: out.print(f"{model} has no default."))


@default.command("alone")
def default_alone(
    context: typer.Context,
    model: str,
    minutes: Annotated[
        float | None,
        typer.Option(help="How long, at most a day; 30 if left out.", show_default=False),
    ] = None,
    end: Annotated[
        bool, typer.Option("--end", help="End it now: the model's versions are asked again.")
    ] = False,
    reason: Reason = "",
    url: ControlUrl = None,
    as_json: Json = False,
) -> None:
    """Have a model's default answer everything for a time: no version is asked."""
    if end and minutes is not None:
        raise InvalidInput(
            "it is either ended or begun for a time",
            where="--minutes, --end",
            remedy="Leave one of the two out.",
        )
    with context.obj.client(url) as client:
        if end:
            made = client.end_default_alone(model, reason=reason)
        else:
            made = client.default_alone(
                model, _MINUTES if minutes is None else minutes, reason=reason
            )
    finish(made, as_json=as_json, show=lambda out: out.print(_of_default(made)))


@default.command("list")
def list_defaults(context: typer.Context, url: ControlUrl = None, as_json: Json = False) -> None:
    """Every model's default."""
    with context.obj.client(url) as client:
        found = list(client.defaults())

    def tell(out: Console) -> None:
        for item in found:
            out.print(_of_default(item))
        if not found:
            out.print("No model has a default.")

    finish({"defaults": found}, as_json=as_json, show=tell)


def _of_default(item: DefaultAnswer) -> str:
    when = "where no version can"
    if item.alone_until is not None and item.alone_until > clock.now():
        when = f"to everything until {item.alone_until:%Y-%m-%d %H:%M} UTC"
    return f"{item.model} answers {item.answer!r} {when} (by {item.actor}: {item.reason})"


def _answer(text: str) -> float | int | str | bool:
    """What a person means: JSON where it is a number or a truth value, else the text itself."""
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, float | int | str | bool) else text


def _named(client: Serinus, name: str) -> Rollback:
    """A rollback by its id, or a model's newest one.

    Raises:
        NotFound: there is neither.
    """
    try:
        return client.rollback_of(name)
    except NotFound as unknown:
        newest = first(client.rollbacks(name), 1)
        if not newest:
            raise NotFound(
                f"{name!r} is neither a rollback nor a model that was taken back",
                remedy="`serinus rollbacks list` names them.",
            ) from unknown
        return newest[0]


def _line(done: Rollback) -> str:
    revision = f", routing revision {done.revision}" if done.revision else ""
    what = {
        "planned": f"{done.to} is proposed in place of {done.taken_back}",
        "warming": f"the workers load {done.to}, which then gets all traffic",
        "failed": f"nothing was changed, {done.to} has no traffic by it",
    }.get(done.state, f"{done.to} has all traffic, {done.taken_back} has none")
    if done.taken_back == done.to:
        what = f"{done.to} had all traffic already"
    return f"{done.model}: {what} (rollback {done.id} is {done.state}{revision})."


def _show_plan(out: Console, plan: RollbackPlan) -> None:
    out.print(f"Back to {plan.target}. Checked before:")
    for check in plan.checks:
        mark = {True: "ok", False: "no", None: "?"}[check.passed]
        out.print(f"  {mark:<3}{check.name}: {check.detail}")
    out.print("Done then:")
    for number, action in enumerate(plan.actions, 1):
        out.print(f"  {number}. {action}")
    out.print(f"Looked at afterwards, within {plan.within_seconds:g} s:")
    for sentence in plan.verification:
        out.print(f"  - {sentence}")


def _show_all(out: Console, found: list[Rollback]) -> None:
    from serinus.cli.show import brief, table

    rows = [
        (
            item.id,
            item.model,
            f"{item.taken_back} → {item.to}",
            brief(item.cause),
            item.state,
            item.actor,
        )
        for item in found
    ]
    heads = ("rollback", "model", "what", "cause", "state", "by")
    out.print(table("", heads, rows) if rows else "No model was ever taken back.")


def _show(out: Console, found: Rollback) -> None:
    out.print(_line(found))
    out.print(f"Asked for by {found.actor}, because of {found.cause}: {found.reason}")
    _show_plan(out, found.plan)
    out.print("What happened:")
    for step in found.steps:
        out.print(f"  {step.at:%F %T} {step.state}: {step.reason}")
    if found.findings:
        out.print("What was found:")
    for finding in found.findings:
        out.print(f"  {finding.state:<13}{finding.sentence}")
