"""The gateway's process: the data plane with this installation's settings."""

from __future__ import annotations

import importlib.util

from serinus import logs
from serinus.errors import InvalidInput
from serinus.processes import home, ports
from serinus.serving.types import GatewayOptions
from serinus.serving.workers import supervisor
from serinus.settings import Settings


def run(settings: Settings) -> None:
    """Answer predictions until SIGTERM or SIGINT.

    Raises:
        InvalidInput: a port is taken, the state folder cannot be written, or an extra is missing.
    """
    logs.configure(settings.log_level, process="gateway")
    home.prepare(settings.home)
    ports.check(settings.host, settings.gateway_port, setting="gateway_port")
    if settings.grpc_port:
        ports.check(settings.host, settings.grpc_port, setting="grpc_port")
        _check_grpc()
    supervisor.run(
        options(settings), workers=settings.gateway_workers, most=settings.gateway_workers_max
    )


def _check_grpc() -> None:
    """Look for the extra before any worker does, which could only end."""
    if not all(importlib.util.find_spec(name) for name in ("grpc", "tritonclient")):
        raise InvalidInput(
            "the packages for gRPC are not installed",
            where="grpc_port",
            remedy="Install serinus[grpc], or leave grpc_port at 0.",
        )


def options(settings: Settings) -> GatewayOptions:
    """What the gateway is told of the settings; it reads none itself."""
    return GatewayOptions(
        host=settings.host,
        port=settings.gateway_port,
        grpc_port=settings.grpc_port,
        routing_table=settings.routing_table,
        ledger=settings.ledger,
        archive=settings.archive,
        ledger_sync=settings.ledger_sync,
        ledger_segment_bytes=settings.ledger_segment_bytes,
        request_max_bytes=settings.request_max_bytes,
        request_max_rows=settings.request_max_rows,
        request_timeout_seconds=settings.request_timeout_seconds,
        worker_status_seconds=settings.worker_status_seconds,
        waiting_max_rows=settings.waiting_max_rows,
        model_memory_bytes=settings.model_memory_bytes,
        process_memory_bytes=settings.process_memory_bytes,
        environments=settings.environments,
        remembered_rows=settings.remembered_rows,
        hooks=settings.hooks,
        ledger_full=settings.ledger_full,
    )
