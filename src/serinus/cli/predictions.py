"""``serinus predict``: ask the gateway."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from serinus.cli.options import GatewayUrl, Json
from serinus.cli.session import finish
from serinus.errors import InvalidInput


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(predict)


def predict(
    context: typer.Context,
    features: Annotated[
        str, typer.Argument(help="A JSON object, or a list of them; - reads standard input.")
    ] = "-",
    model: Annotated[str | None, typer.Option(help="Which; may be left out of one.")] = None,
    entity: Annotated[
        str | None, typer.Option(help="Key that keeps one user with one arm.")
    ] = None,
    entity_column: Annotated[
        str | None, typer.Option(help="The field that holds each one's key; then no input.")
    ] = None,
    url: GatewayUrl = None,
    as_json: Json = False,
) -> None:
    """Ask for a prediction (or several)."""
    from serinus.cli import show
    from serinus.cli.values import document
    from serinus.client.predictions import Refused

    asked = document(sys.stdin.read() if features == "-" else features, option="features")
    rows = asked if isinstance(asked, list) else [asked]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise InvalidInput(
            "features must be an object of names and values, or a list of such objects",
            where="features",
            remedy='Write an object such as {"age": 41}.',
        )
    if isinstance(asked, list) and entity is not None:
        raise InvalidInput(
            "one key cannot stand for a list of requests",
            where="--entity",
            remedy="Put each one's key into a field of it, and name that: --entity-column FIELD.",
        )
    if not isinstance(asked, list) and entity_column is not None:
        raise InvalidInput(
            "this is a single request",
            where="--entity-column",
            remedy="Give its key with --entity KEY, or a list of requests.",
        )
    with context.obj.client(gateway_url=url) as client:
        if not isinstance(asked, list):
            one = client.predict(asked, model=model, entity=entity)
            finish(one, as_json=as_json, show=lambda out: out.print(show.prediction(one)))
            return
        answers = client.predict_batch(rows, model=model, entity_column=entity_column)

    def present(out: Any) -> None:
        for item in answers:
            text = item.error.detail if isinstance(item, Refused) else show.prediction(item)
            out.print(text)

    finish({"predictions": answers}, as_json=as_json, show=present)
