"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="End with one line of JSON on standard output.")]
Home = Annotated[
    str | None, typer.Option(help="Folder of all state (SERINUS_HOME).", show_default=False)
]
Host = Annotated[
    str | None, typer.Option(help="Address to listen on (SERINUS_HOST).", show_default=False)
]
ControlPort = Annotated[
    int | None,
    typer.Option(help="Port of API and dashboard (SERINUS_CONTROL_PORT).", show_default=False),
]
GatewayPort = Annotated[
    int | None,
    typer.Option(help="Port of the gateway (SERINUS_GATEWAY_PORT).", show_default=False),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Gateway processes sharing the port.", show_default=False),
]
Supervised = Annotated[
    bool, typer.Option("--supervised", hidden=True, help="Stop when standard input ends.")
]
ControlUrl = Annotated[
    str | None,
    typer.Option("--control-url", help="Where the control plane answers.", show_default=False),
]
GatewayUrl = Annotated[
    str | None,
    typer.Option("--gateway-url", help="Where the gateway answers.", show_default=False),
]
Reason = Annotated[str, typer.Option(help="Why, kept in the history.")]
Limit = Annotated[int, typer.Option(help="Most rows to show.", min=1)]
