"""What each page shows, gathered from the services."""

from __future__ import annotations

from typing import Any

import msgspec

from serinus.app import App, views
from serinus.client import jobs, types
from serinus.delivery.types import Deployment, Phase
from serinus.delivery.verdicts.evidence import Measure, pooled

RECENT = 8
LOOKS = 1_000
WINDOWS = 60


def overview(app: App) -> dict[str, Any]:
    """Models with champions, live deployments, advice; gateway workers; recent work."""
    champions = app.registry.champions()
    models = [views.model(app.delivery, entry, champions) for entry in app.registry.models(100)]
    deployments = app.delivery.list(None, limit=RECENT, after=None)
    return {
        "models": models,
        "advice": {item.name: app.monitor.recommendation(item.name) for item in models},
        "deployments": [views.view(item, types.Deployment) for item in deployments],
        "workers": app.delivery.workers(),
        "revision": app.delivery.routing().revision,
        "jobs": [views.view(item, jobs.Job) for item in app.jobs.list(limit=RECENT)],
    }


def model(app: App, name: str) -> dict[str, Any]:
    """One model. Raises NotFound."""
    entry = app.model(name)
    versions = [views.version(item) for item in app.registry.versions(name, 50)]
    deployments = app.delivery.list(name, limit=RECENT, after=None)
    return {
        "model": views.model(app.delivery, entry, app.registry.champions()),
        "versions": versions,
        "metrics": _leading(versions),
        "deployments": [views.view(item, types.Deployment) for item in deployments],
        "stages": app.registry.history(name, 12),
        "advice": app.monitor.recommendation(name),
        "drift": app.monitor.drift_history(name, WINDOWS),
        "performance": app.monitor.performance_history(name, WINDOWS),
    }


def deployment(app: App, identity: str) -> dict[str, Any]:
    """One deployment. Raises NotFound."""
    found = app.delivery.status(identity)
    item, shown = found.deployment, views.status(found)
    return {
        "status": shown,
        "outcome": outcome(shown),
        "history": app.delivery.history(identity),
        "verbs": verbs(item),
        "every_verb": VERBS,
        "mirrors": any(step.shadow for step in item.plan.steps),
    }


def outcome(status: types.DeploymentStatus) -> str:
    """The verdict as the page says it: passing a plan that was to find out promotes nobody."""
    item = status.deployment
    if item.kept_champion:
        return (
            "passed; the champion stays" if item.plan.experiment is None else "the champion stays"
        )
    return status.verdict.outcome if item.live and status.verdict else item.verdict


VERBS = {
    "pause": "hold it where it is; a rollback stays live",
    "resume": "go on",
    "approve": "let its passed gate through",
    "promote": "give it all traffic, whatever the evidence says",
    "abort": "give all traffic back to the champion",
    "retry": "take it up again: same plan, step and evidence",
}
"""What a person may ask of a deployment, and what that does."""


def verbs(item: Deployment) -> tuple[str, ...]:
    """What can be asked of a deployment as it stands; a click may still come too late."""
    if item.phase is Phase.PAUSED:
        return ("approve" if item.waits_for_approval else "resume", "promote", "abort")
    return {
        Phase.PENDING: ("promote", "abort"),
        Phase.RUNNING: ("pause", "promote", "abort"),
        Phase.SOAKING: ("abort",),
        Phase.SUCCEEDED: (),
    }.get(item.phase, ("retry",))


def plan(app: App, identity: str) -> types.Plan:
    """A deployment's plan. Raises NotFound."""
    return views.view(app.delivery.get(identity), types.Deployment).plan


def looks(app: App, identity: str) -> list[types.Look]:
    """The recorded looks at a deployment's evidence, oldest first. Raises NotFound."""
    found = app.delivery.verdicts(identity, limit=LOOKS)
    return [types.Look(at, step, views.view(verdict, types.Verdict)) for at, step, verdict in found]


def scores(app: App, identity: str) -> tuple[list[float], list[list[int]]]:
    """The champion's deciles, and (champion's, challenger's) answers between them. Raises NotFound.

    There are neither where the plan does not watch the scores.
    """
    cuts = app.delivery.get(identity).plan.score_cuts
    tables = app.delivery.evidence(identity).tables
    counts: list[list[int]] = pooled(tables, Measure.SCORE, len(cuts) + 1).tolist()
    return list(cuts), counts


def drift_windows(app: App, name: str) -> list[dict[str, Any]]:
    """A model's judged windows, newest first, as plain values."""
    windows: list[dict[str, Any]] = msgspec.to_builtins(app.monitor.drift_history(name, WINDOWS))
    return windows


def performance_windows(app: App, name: str) -> list[dict[str, Any]]:
    """A model's performance windows, newest first, as plain values."""
    found = app.monitor.performance_history(name, WINDOWS)
    windows: list[dict[str, Any]] = msgspec.to_builtins(found)
    return windows


def _leading(versions: list[types.Version]) -> list[str]:
    """The metrics worth a column: at most four, the most telling first."""
    known = [
        name
        for name in ("roc_auc", "accuracy", "log_loss", "r2", "mae", "rmse")
        if any(name in item.metrics for item in versions)
    ]
    others = sorted({name for item in versions for name in item.metrics} - set(known))
    return [*known, *others][:4]


def calls(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The OpenAPI document's calls by tag, in the order in which a page shows them."""
    groups: dict[str, list[dict[str, Any]]] = {}
    schemas = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "text": operation.get("description") or operation.get("summary", ""),
                    "parameters": operation.get("parameters", []),
                    "body": _fields(_schema(operation.get("requestBody", {})), schemas),
                    "gives": _name(_answer(operation)),
                }
            )
    return groups


def _answer(operation: dict[str, Any]) -> dict[str, Any]:
    done = [item for status, item in operation["responses"].items() if status.startswith("2")]
    return _schema(done[0]) if done else {}


def _schema(holder: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2].replace("_", " ").strip()


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields of a body: name, type, default (absent if it must be given)."""
    target = schemas.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
    required = set(target.get("required", []))
    return [
        {
            "name": name,
            "type": _type(item),
            "required": name in required,
            "default": item.get("default"),
        }
        for name, item in target.get("properties", {}).items()
    ]


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(item) for item in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(item) for item in schema["enum"])
    return str(schema.get("type") or _name(schema) or "any")
