"""Where a version came from, as plain JSON (A4)."""

from __future__ import annotations

from typing import Any

import msgspec

from serinus.registry.types import ModelVersion

ENVIRONMENT = "environment."
"""Prefix of the tags that name the software a version was trained with."""

COMMIT = "code.commit"


def document(version: ModelVersion) -> dict[str, Any]:
    """Dataset, schema, code, run, parameters, environment, parent and gates of one version."""
    return {
        "model": version.model,
        "version": version.version,
        "parent": version.parent,
        "created_at": version.created_at.isoformat(),
        "dataset": version.dataset,
        "schema": {
            "task": version.task,
            "target": version.manifest.target,
            "classes": list(version.manifest.classes),
            "inputs": [msgspec.to_builtins(field) for field in version.manifest.inputs],
        },
        "code": {"commit": version.tags.get(COMMIT)},
        "run": version.run_id or None,
        "params": version.params,
        "metrics": version.metrics,
        "environment": {
            name.removeprefix(ENVIRONMENT): value
            for name, value in sorted(version.tags.items())
            if name.startswith(ENVIRONMENT)
        },
        "gates": [
            {"name": gate.name, "passed": gate.passed, "detail": gate.detail}
            for gate in version.gates
        ],
        "artifact": version.uri,
        "mlflow_version": version.mlflow_version or None,
    }
