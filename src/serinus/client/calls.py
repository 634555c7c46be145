"""Every call of the two HTTP faces as a value: method, path, parameters, and what comes back.

Nothing here talks to anybody: the clients in :mod:`serinus.client.transport` carry these out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import msgspec

from serinus.client import cells
from serinus.client.cells import Key, Rows
from serinus.client.foresight import Proposal, Replay, WhatIf
from serinus.client.predictions import Prediction, Refused
from serinus.client.types import (
    Comparison,
    Deployment,
    DeploymentStatus,
    Health,
    Look,
    Model,
    Page,
    StageChange,
    Transition,
    Version,
)
from serinus.wire import Answer, Package, RoutingTable

T = TypeVar("T")

PAGE = 100


PACKAGING_SECONDS = 300.0
"""Converting a version to ONNX and proving it takes seconds, and a network's minutes."""


class Call(msgspec.Struct, Generic[T], frozen=True):
    """One request and the type of its answer; ``plane`` says which server it is for.

    ``seconds`` is how long it may take if that is more than a client's calls may take otherwise;
    ``idempotent`` says of a POST that it does no more if it arrives twice.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    gives: Any
    query: dict[str, Any] = {}
    body: Any = None
    plane: Literal["control", "gateway"] = "control"
    headers: dict[str, str] = {}
    seconds: float = 0.0
    idempotent: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether it may arrive twice; of all methods but POST, HTTP has it so."""
        return self.method != "POST" or self.idempotent

    @property
    def probes(self) -> bool:
        """Whether it asks how somebody is: no answer is one, and so is a 503."""
        return self.path in ("/health", "/system/health")


def path_of(*parts: str) -> str:
    """A path of these parts, each quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def listing(path: str, item: Any, after: str | None, **query: Any) -> Call[Page[Any]]:
    """One page of a list of ``item``; None in a query asks nothing (a whole list has no limit)."""
    asked = {"after": after, "limit": PAGE, **query}
    given = {name: value for name, value in asked.items() if value is not None}
    return Call("GET", path, Page[item], given)


# ------------------------------------------------------------------ system


def health() -> Call[Health]:
    """Whether the control plane answers and its loops run."""
    return Call("GET", "/health", Health)


def system_health() -> Call[Health]:
    """The health of every part."""
    return Call("GET", "/system/health", Health)


def routing() -> Call[RoutingTable]:
    """The routing table that the gateways should have."""
    return Call("GET", "/routing", RoutingTable)


# ------------------------------------------------------------------ models


def models(*, after: str | None = None) -> Call[Page[Model]]:
    """Models by name."""
    return listing("/models", Model, after)


def model(name: str) -> Call[Model]:
    """A model with its champion and live deployment."""
    return Call("GET", path_of("models", name), Model)


def versions(model: str, *, after: str | None = None) -> Call[Page[Version]]:
    """A model's versions, newest first."""
    return listing(path_of("models", model, "versions"), Version, after)


def version(model: str, version: str) -> Call[Version]:
    """One version."""
    return Call("GET", path_of("models", model, "versions", version), Version)


def stages(model: str, *, after: str | None = None) -> Call[Page[StageChange]]:
    """The model's latest moves between stages, newest first."""
    return listing(path_of("models", model, "stages"), StageChange, after)


def compare(model: str, first: str, second: str) -> Call[Comparison]:
    """Two versions side by side."""
    query = {"model": model, "a": first, "b": second}
    return Call("GET", "/models/compare", Comparison, query)


def register(
    model: str,
    artifact: str,
    *,
    target: str = "target",
    version: str | None = None,
    description: str = "",
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    data: str | None = None,
) -> Call[Version]:
    """Register an MLflow model: ``runs:/…``, ``models:/…``, or a folder it can read."""
    body = {
        "model_name": model,
        "model_artifact_path": artifact,
        "target": target,
        "version": version,
        "description": description,
        "metrics": dict(metrics or {}),
        "params": dict(params or {}),
        "data": data,
    }
    return Call("POST", "/models/register", Version, body=body, seconds=PACKAGING_SECONDS)


def package(model: str, version: str) -> Call[Package]:
    """In which form a version is served, and what was tried."""
    return Call("GET", path_of("models", model, "versions", version, "package"), Package)


def renew_package(
    model: str, version: str, *, data: str | None = None, quantize: float | None = None
) -> Call[Package]:
    """Convert a version again and prove it on rows.

    Args:
        model: of the version.
        version: of the model.
        data: a file beside the control plane, or the name of a bundled set.
        quantize: largest difference that a quantized graph may show; None tries none.
    """
    path = path_of("models", model, "versions", version, "package")
    body = {"data": data, "quantize": quantize}
    return Call("POST", path, Package, body=body, seconds=PACKAGING_SECONDS)


def promote_version(
    model: str, version: str, *, stage: str = "Production", reason: str = ""
) -> Call[Version]:
    """Move a version to a stage by hand, past every canary."""
    body = {"model_name": model, "version": version, "stage": stage, "reason": reason}
    return Call("POST", "/models/promote", Version, body=body)


# ------------------------------------------------------------------ deployments


def deploy(model: str, challenger: str, **options: Any) -> Call[Deployment]:
    """Begin bringing a version to traffic.

    Args:
        model: the model.
        challenger: the version.
        **options: any other field of a deployment's specification: ``strategy``, ``shares``,
            ``shadow``, ``labels``, ``unit``, ``error_odds``, ``error_points``, ``quality_points``,
            ``latency_ratio``, ``value_cap``, ``entities``, ``min_requests``, ``max_hours``,
            ``soak_seconds``, ``auto_promote``, ``approvals``, ``replicas``, ``batch``, ``others``,
            ``split``, ``metric``, …. What is left out (or None) the model's type says.
    """
    return Call("POST", "/deployments", Deployment, body=_spec(model, challenger, options))


def forecast(model: str, challenger: str, **options: Any) -> Call[Proposal]:
    """The plan that :func:`deploy` would begin and how it would go; nothing begins."""
    body = _spec(model, challenger, options)
    return Call("POST", "/deployments/forecast", Proposal, body=body, idempotent=True)


def _spec(model: str, challenger: str, options: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in options.items() if value is not None}
    return {"model": model, "challenger": challenger, **given}


def replay(id: str) -> Call[Replay]:
    """Every verdict of a deployment, computed again from the ledger."""
    return Call("GET", path_of("deployments", id, "replay"), Replay)


def whatif(id: str, policy: Mapping[str, Any]) -> Call[WhatIf]:
    """What a deployment's traffic would have decided under another policy.

    Args:
        id: the deployment.
        policy: fields of its specification that are to be others, such as ``error_odds``.
    """
    path = path_of("deployments", id, "whatif")
    return Call("POST", path, WhatIf, body={"policy": dict(policy)}, idempotent=True)


def deployments(model: str | None = None, *, after: str | None = None) -> Call[Page[Deployment]]:
    """Deployments, newest first."""
    return listing("/deployments", Deployment, after, model=model)


def deployment(id: str) -> Call[DeploymentStatus]:
    """A deployment with its counts and latest verdict."""
    return Call("GET", path_of("deployments", id), DeploymentStatus)


def deployment_of(model: str) -> Call[DeploymentStatus]:
    """A model's newest deployment with its counts and latest verdict."""
    return Call("GET", path_of("deployments", "status", model), DeploymentStatus)


def history(id: str, *, after: str | None = None) -> Call[Page[Transition]]:
    """A deployment's transitions, oldest first."""
    return listing(path_of("deployments", id, "history"), Transition, after, limit=None)


def verdicts(id: str, *, after: str | None = None) -> Call[Page[Look]]:
    """A deployment's newest recorded looks at its evidence, oldest first."""
    return listing(path_of("deployments", id, "verdicts"), Look, after)


# ------------------------------------------------------------------ gateway


class _Batch(msgspec.Struct, frozen=True):
    """A batch's answers; each is a prediction or says why there is none."""

    predictions: list[dict[str, Any]]


def _of_model(model: str | None, *rest: str) -> str:
    return path_of(*(("models", model) if model else ()), *rest)


def predict(
    features: Mapping[str, Any],
    *,
    model: str | None = None,
    entity: Key | None = None,
    arm: Literal["champion", "challenger"] | None = None,
) -> Call[Prediction]:
    """One prediction.

    Args:
        features: the inputs by name; NumPy's and pandas' scalars are taken too.
        model: which; may be left out where there is one.
        entity: the key that keeps somebody with one arm.
        arm: who must answer, for testers: such a request is no evidence.

    Raises:
        InvalidInput: these are no inputs, or a value cannot be sent; it says which.
    """
    body = _row(cells.features_of(features), cells.key_of(entity, "entity"))
    return Call(
        "POST",
        _of_model(model, "predict"),
        Prediction,
        body=body,
        plane="gateway",
        headers={"x-serinus-arm": arm} if arm else {},
    )


def predict_batch(
    rows: Rows,
    *,
    model: str | None = None,
    entity: Sequence[Key | None] | None = None,
    entity_column: str | None = None,
) -> Call[_Batch]:
    """Predictions for many rows, or those of a DataFrame, in their order.

    Args:
        rows: the inputs of each, by name.
        model: which; may be left out where there is one.
        entity: for each row the key that keeps somebody with one arm, None where there is none.
        entity_column: the column that holds that key, instead; it is then no input.

    Raises:
        InvalidInput: these are no rows, or a value cannot be sent; it says which.
    """
    given = cells.rows_of(rows)
    keys = cells.keys_of(given, entity, entity_column)
    body = {"requests": [_row(row, key) for row, key in zip(given, keys, strict=True)]}
    return Call("POST", _of_model(model, "predict", "batch"), _Batch, body=body, plane="gateway")


def _row(features: dict[str, Any], key: Key | None) -> dict[str, Any]:
    return {"features": features} if key is None else {"features": features, "entity": key}


def answers(batch: _Batch) -> list[Prediction | Refused]:
    """The batch's answers as values."""
    return [
        msgspec.convert(item, Refused) if "error" in item else msgspec.convert(item, Prediction)
        for item in batch.predictions
    ]


def feedback(
    labels: Mapping[str, Answer] | None = None, *, value: Mapping[str, float] | None = None
) -> Call[dict[str, Any]]:
    """What turned out of predictions, by prediction id.

    Args:
        labels: what was true.
        value: what the answers were worth to the business, finite numbers. A prediction may have
            a label, a value, or both, sent together or apart.
    """
    items: dict[str, dict[str, Any]] = {}
    for field, given in (("label", labels or {}), ("value", value or {})):
        for id, told in given.items():
            items.setdefault(id, {"prediction_id": id})[field] = cells.plain(
                told, f"{field} of {id}"
            )
    body = {"labels": list(items.values())}
    return Call("POST", "/feedback", dict[str, Any], body=body, plane="gateway")


def gateway_health() -> Call[dict[str, Any]]:
    """Whether the gateway answers."""
    return Call("GET", "/health", dict[str, Any], plane="gateway")


def model_info() -> Call[dict[str, Any]]:
    """What the gateway serves."""
    return Call("GET", "/model-info", dict[str, Any], plane="gateway")


def stats() -> Call[dict[str, Any]]:
    """What the gateway counted since it started."""
    return Call("GET", "/stats", dict[str, Any], plane="gateway")
