"""Models and their versions: look, compare, register, move between stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from serinus import wire
from serinus.api.messages import After, Json, Limit, body, call, page
from serinus.api.services import Actor, Services
from serinus.app import packaging, views
from serinus.client import types
from serinus.deferred import Deferred
from serinus.errors import InvalidInput
from serinus.registry.types import Candidate, Stage

if TYPE_CHECKING:
    from serinus.registry import imported, tracking
else:
    imported = Deferred("serinus.registry.imported")
    tracking = Deferred("serinus.registry.tracking")

router = APIRouter(tags=["models"])


class PromoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version moves to which stage, by hand."""

    model_name: str
    version: str
    stage: Stage = Stage.PRODUCTION
    reason: str = ""


class VersionPromoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version of the model in the path moves to which stage."""

    version: str | None = None
    stage: Stage = Stage.PRODUCTION
    reason: str = ""


class RegisterRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finished MLflow model: ``runs:/…``, ``models:/…``, or a folder beside the control plane."""

    model_name: str
    model_artifact_path: str
    model_type: str | None = None
    target: str = "target"
    description: str = ""
    metrics: dict[str, float] = {}
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    version: str | None = None
    data: str | None = None


class PackageRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to prove a version's graph.

    ``data`` holds real rows: a file beside the control plane, or a bundled set. ``quantize`` is the
    largest difference that a quantized graph may show; without it none is tried.
    """

    data: str | None = None
    quantize: Annotated[float, msgspec.Meta(gt=0)] | None = None


@router.post("/models/register", **call(takes=RegisterRequest, gives=types.Version, status=201))
def register(
    asked: Annotated[RegisterRequest, Depends(body(RegisterRequest))], app: Services
) -> Response:
    """Register a finished MLflow model as the next version."""
    tracking.configure(app.settings.tracking)
    source = asked.model_artifact_path
    manifest, run = imported.manifest_from(source, asked.model_name, asked.target)
    given = packaging.rows_in(asked.data, manifest) if asked.data else None
    uri = imported.bring_in(source, manifest, artifacts=app.settings.artifacts)
    candidate = Candidate(
        uri=uri,
        source=source,
        manifest=manifest,
        model_type=asked.model_type or manifest.task,
        run_id=run,
        version=asked.version,
        description=asked.description,
        metrics=asked.metrics,
        params=asked.params,
        tags=asked.tags,
    )
    rows = given or imported.example_rows(uri, manifest)
    app.registry.package(uri, manifest, rows, version=app.registry.upcoming(candidate))
    return Json(views.version(app.registry.register(candidate)), status_code=201)


@router.post("/models/promote", **call(takes=PromoteRequest, gives=types.Version))
def promote(
    asked: Annotated[PromoteRequest, Depends(body(PromoteRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Move a version to a stage by hand, past every canary; Production unless another is named."""
    moved = app.promote(
        asked.model_name, asked.version, asked.stage, actor=actor, reason=asked.reason
    )
    return Json(views.version(moved))


@router.post("/models/{model}/promote", **call(takes=VersionPromoteRequest, gives=types.Version))
def promote_version(
    model: str,
    asked: Annotated[VersionPromoteRequest, Depends(body(VersionPromoteRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """The same for a model in the path: NAME, the version in the body, or NAME@VERSION."""
    name, version = name_and_version(model, asked.version)
    return Json(
        views.version(app.promote(name, version, asked.stage, actor=actor, reason=asked.reason))
    )


def name_and_version(text: str, given: str | None) -> tuple[str, str]:
    """The model and version that ``NAME@VERSION``, or ``NAME`` and a given version, mean.

    Raises:
        InvalidInput: no version, or two different ones.
    """
    name, _, version = text.partition("@")
    found = {item for item in (version, given) if item}
    if len(found) != 1:
        raise InvalidInput(
            "two different versions are named" if found else "no version is named",
            where="body.version",
            remedy="Name one: in the path as NAME@VERSION, or in the body.",
        )
    return name, found.pop()


@router.get("/models", **call(gives=types.Page[types.Model]))
def listing(app: Services, limit: Limit = 50, after: After = None) -> Response:
    """Models by name, each with its champion and its live deployment."""
    champions = app.registry.champions()
    items = [
        views.model(app.delivery, entry, champions) for entry in app.registry.models(limit, after)
    ]
    return page(items, limit, lambda item: item.name)


@router.get("/models/compare", **call(gives=types.Comparison))
def compare(
    app: Services,
    model: str,
    first: Annotated[str, Query(alias="a", description="the one version")],
    second: Annotated[str, Query(alias="b", description="the other version")],
) -> Response:
    """Two versions side by side."""
    return Json(views.view(app.registry.compare(model, first, second), types.Comparison))


@router.get("/models/{model}", **call(gives=types.Model))
def one(app: Services, model: str) -> Response:
    """A model with its champion and its live deployment."""
    return Json(views.model(app.delivery, app.model(model), app.registry.champions()))


@router.get("/models/{model}/versions", **call(gives=types.Page[types.Version]))
def versions(app: Services, model: str, limit: Limit = 50, after: After = None) -> Response:
    """A model's versions, newest first."""
    found = app.registry.versions(model, limit, after)
    return page([views.version(item) for item in found], limit, lambda item: item.version)


@router.get("/models/{model}/versions/{version}", **call(gives=types.Version))
def version(app: Services, model: str, version: str) -> Response:
    """One version with its metrics, parameters, data and gates."""
    return Json(views.version(app.registry.get(model, version)))


@router.get("/models/{model}/versions/{version}/package", **call(gives=wire.Package))
def package(app: Services, model: str, version: str) -> Response:
    """In which form a version is served, and what was tried."""
    return Json(packaging.shown(app, model, version))


@router.post(
    "/models/{model}/versions/{version}/package", **call(takes=PackageRequest, gives=wire.Package)
)
def renew_package(
    model: str,
    version: str,
    asked: Annotated[PackageRequest, Depends(body(PackageRequest))],
    app: Services,
) -> Response:
    """Convert a version again and prove it on rows; workers that load it from now on use it."""
    made = packaging.renew(app, model, version, data=asked.data, quantize=asked.quantize)
    return Json(made)


@router.get("/models/{model}/stages", **call(gives=types.Page[types.StageChange]))
def stages(app: Services, model: str, limit: Limit = 100) -> Response:
    """The model's latest moves between stages, newest first."""
    return Json({"items": app.registry.history(model, limit), "next": None})
