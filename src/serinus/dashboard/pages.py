"""The pages' routes. A page is a template and what it shows; live parts are fragments of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import plotly
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from serinus.app import App
from serinus.dashboard import content, figures
from serinus.dashboard.rendering import render
from serinus.errors import NotFound, SerinusError

P = ParamSpec("P")

ASSETS = Path(__file__).parent / "assets"
_KINDS = {".css": "text/css", ".js": "text/javascript"}
_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
_HEADERS = {
    # Nothing comes from anywhere else; plotly writes its own style elements.
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

router = APIRouter(include_in_schema=False)


def install(application: FastAPI) -> None:
    """Add the pages to the control plane's application."""
    application.include_router(router)


def _page(route: Callable[P, str]) -> Callable[P, Response]:
    """Answer with the route's HTML; an error of ours becomes a page that says what to do."""

    @wraps(route)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return HTMLResponse(route(*args, **kwargs), headers=_HEADERS)
        except SerinusError as error:
            page = render("error.html.j2", title=error.title, error=error)
            return HTMLResponse(page, status_code=error.status, headers=_HEADERS)

    return answer


def _app(request: Request) -> App:
    app: App = request.app.state.services
    return app


@router.get("/")
@_page
def overview(request: Request) -> str:
    """Everything at a glance."""
    return render("overview.html.j2", title="Overview", **content.overview(_app(request)))


@router.get("/dashboard")
@router.get("/dashboard/")
def dashboard() -> Response:
    """Where one looks for it first."""
    return RedirectResponse("/", status_code=307)


@router.get("/dashboard/live")
@_page
def overview_live(request: Request) -> str:
    """The overview's live part."""
    return render("overview_live.html.j2", **content.overview(_app(request)))


@router.get("/dashboard/models/{model}")
@_page
def model(request: Request, model: str) -> str:
    """One model: versions, stages, recommendation, windows."""
    return render("model.html.j2", title=model, **content.model(_app(request), model))


@router.get("/dashboard/deployments/{deployment}")
@_page
def deployment(request: Request, deployment: str) -> str:
    """One deployment: where it is, and its live evidence."""
    found = content.deployment(_app(request), deployment)
    return render("deployment.html.j2", title=found["status"].deployment.model, **found)


@router.get("/dashboard/deployments/{deployment}/live")
@_page
def deployment_live(request: Request, deployment: str) -> str:
    """The deployment page's live part."""
    return render("deployment_live.html.j2", **content.deployment(_app(request), deployment))


@router.get("/dashboard/deployments/{deployment}/history")
@_page
def deployment_history(request: Request, deployment: str) -> str:
    """The deployment page's history."""
    return render("history.html.j2", **content.deployment(_app(request), deployment))


@router.get("/dashboard/deployments/{deployment}/evidence.json")
def evidence(request: Request, deployment: str) -> Response:
    """The evidence figure of a deployment."""
    app = _app(request)
    plan = content.plan(app, deployment)
    return _figure(figures.evidence(content.looks(app, deployment), plan=plan))


@router.get("/dashboard/deployments/{deployment}/scores.json")
def scores(request: Request, deployment: str) -> Response:
    """The figure of both arms' scores."""
    return _figure(figures.scores(*content.scores(_app(request), deployment)))


@router.get("/dashboard/models/{model}/drift.json")
def drift(request: Request, model: str) -> Response:
    """The drift figure of a model."""
    return _figure(figures.drift(content.drift_windows(_app(request), model)))


@router.get("/dashboard/models/{model}/performance.json")
def performance(request: Request, model: str) -> Response:
    """The performance figure of a model."""
    return _figure(figures.performance(content.performance_windows(_app(request), model)))


@router.get("/docs")
@_page
def reference(request: Request) -> str:
    """Every call of the API, from its OpenAPI document."""
    document = request.app.openapi()
    return render("reference.html.j2", title="API", groups=content.calls(document))


@router.get("/dashboard/assets/{name}")
def asset(name: str) -> Response:
    """A style sheet or script of ours, or plotly's from its installed package."""
    path = _PLOTLY if name == _PLOTLY.name else ASSETS / name
    if path.suffix not in _KINDS or path.parent not in (ASSETS, _PLOTLY.parent):
        raise NotFound(f"there is no {name}", where="assets")
    if not path.is_file():
        raise NotFound(f"there is no {name}", where="assets")
    headers = {"cache-control": "public, max-age=3600" if path is _PLOTLY else "no-cache"}
    return FileResponse(path, media_type=_KINDS[path.suffix], headers=headers)


def _figure(figure: Any) -> Response:
    return Response(
        figure.to_json(), media_type="application/json", headers={"cache-control": "no-store"}
    )
