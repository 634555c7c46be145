"""``serinus deployments pause | resume | approve | promote | abort | retry``.

What is so already is said to be, and is no failure; what is refused is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from serinus.cli.options import ControlUrl, Json, Reason
from serinus.cli.session import finish
from serinus.cli.watch import named

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
        from serinus.cli.show import words

        with context.obj.client(url) as client:
            before = named(client, deployment).deployment
            done = getattr(client, verb)(before.id, reason=reason)
        already = " already" if done.updated_at == before.updated_at else ""
        finish(
            done,
            as_json=as_json,
            show=lambda out: out.print(
                f"{done.id} is{already} {words(done.phase)} at {done.position}. {done.reason}"
            ),
        )

    return intervene
