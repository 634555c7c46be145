"""How a route gets at the services, and at who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from serinus.app import App


def _app(request: Request) -> App:
    app: App = request.app.state.services
    return app


Services = Annotated[App, Depends(_app)]
"""The installation's services, as a route's parameter."""

Actor = Annotated[
    str, Header(alias="x-serinus-actor", description="who asks, kept in every history")
]
"""Who asks; until there are accounts this is what the caller says of itself."""
