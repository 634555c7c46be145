"""The control plane's HTTP application: every call, once as it is and once under ``/api``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from serinus.api import (
    admission,
    deploying,
    deployments,
    experiments,
    hosts,
    interventions,
    jobs,
    messages,
    models,
    monitoring,
    problems,
    rollbacks,
    shadows,
    system,
    watching,
)
from serinus.api.system import Watched
from serinus.app import App

_ROUTERS = (
    system.router,
    models.router,
    deploying.router,
    # Its /deployments/events is no deployment's id.
    watching.router,
    deployments.router,
    rollbacks.router,
    interventions.router,
    shadows.router,
    experiments.router,
    monitoring.router,
    jobs.router,
)


def create(
    services: App,
    *,
    loops: Sequence[Watched] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """The application over one installation's services.

    Args:
        services: what the calls are carried out by.
        loops: the loops of this process, whose health is the control plane's.
        stopping: whether the process is about to end, so that endless answers end as well.
    """
    application = FastAPI(
        title="Serinus",
        version=version("serinus"),
        description="Takes models to production traffic step by step, on evidence.",
        docs_url=None,
        redoc_url=None,
    )
    calls = [call for router in _ROUTERS for call in router.routes if isinstance(call, APIRoute)]
    application.state.services = services
    application.state.loops = loops
    application.state.stopping = stopping
    problems.install(application, calls)
    settings = services.settings
    names = hosts.names_of(settings.host, settings.allowed_hosts)
    application.add_middleware(hosts.Hosts, names=names)
    admitted = [Depends(admission.admit)]
    for router in _ROUTERS:
        application.include_router(router, dependencies=admitted)
        application.include_router(
            router, prefix="/api", include_in_schema=False, dependencies=admitted
        )
    _describe(application)
    return application


def _describe(application: FastAPI) -> None:
    """Add the schemas of our own types to the OpenAPI document."""
    generate = application.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for name, schema in messages.components().items():
            schemas.setdefault(name, schema)
        return document

    application.openapi = openapi  # type: ignore[method-assign]
