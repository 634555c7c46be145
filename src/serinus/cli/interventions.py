"""``serinus deployments pause | resume | approve | promote | abort | retry``.

What is so already is said to be, and is no failure; what is refused is one. Each tells what the
deployment waits for then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from serinus.cli.options import ControlUrl, Json, Reason
from serinus.cli.session import finish
from serinus.cli.watch import named
from serinus.errors import SerinusError

if TYPE_CHECKING:
    from serinus.client import Serinus
    from serinus.client.types import Ahead, DeploymentStatus

_VERBS = {
    "pause": "Hold a deployment where it is; evidence goes on, a rollback stays possible.",
    "resume": "Go on with a deployment that a person held; this approves nothing.",
    "approve": "Let through a gate that has passed and waits for it.",
    "promote": "Give the challenger all traffic now, whatever the evidence says.",
    "abort": "Give all traffic back to the champion and end the deployment.",
    "retry": "Take up again what ended without success: same plan, step and evidence.",
}

Id = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="Its id, or a model for its newest.")]


def add_to(commands: typer.Typer) -> None:
    """Add these commands."""
    for verb, doc in _VERBS.items():
        commands.command(verb, help=doc)(_intervention(verb))


def _intervention(verb: str) -> Callable[..., None]:
    def intervene(
        context: typer.Context,
        deployment: Id,
        reason: Reason = "",
        url: ControlUrl = None,
        as_json: Json = False,
    ) -> None:
        import msgspec

        from serinus.cli.show import words

        with context.obj.client(url) as client:
            before = named(client, deployment).deployment
            # What a person has seen is what is approved, however often it is asked.
            meant = {"step": before.step} if verb == "approve" else {}
            done = getattr(client, verb)(before.id, reason=reason, **meant)
            ahead, waits = _ahead(client, done.id)
        already = " already" if done.updated_at == before.updated_at else ""
        said = f"{done.id} is{already} {words(done.phase)} at {done.position}. {done.reason}"
        finish(
            {**msgspec.structs.asdict(done), "ahead": ahead},
            as_json=as_json,
            # A command over two lines cannot be copied.
            show=lambda out: out.print(
                said, *([waits] if waits else []), sep="\n", soft_wrap=True, markup=False
            ),
        )

    return intervene


def _ahead(client: Serinus, deployment: str) -> tuple[Ahead | None, str]:
    """What a deployment waits for now, and that in words."""
    try:
        status = client.deployment(deployment)
    except SerinusError:
        return None, ""  # what was asked for is done all the same
    return status.ahead, sentence(status)


def sentence(status: DeploymentStatus) -> str:
    """What a deployment waits for, with the command where it is a person's word; "" of an end."""
    item, ahead = status.deployment, status.ahead
    if ahead is None:
        return ""
    approve = f"serinus deployments approve {item.id}"
    if item.phase == "paused" and item.verdict == "promote":
        return f"Its gate has passed, and it waits for an approval: {approve}"
    if item.phase == "running" and ahead.waits_for == "controller":
        asks = item.plan.steps[item.step].approval
        then = f"it will wait for an approval: {approve}" if asks else "it goes on by itself."
        return f"Its gate has passed; {then}"
    return ahead.sentence
