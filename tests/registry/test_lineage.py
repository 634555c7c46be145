from __future__ import annotations

import json

from serinus import clock, wire
from serinus.registry import lineage
from serinus.registry.types import GateResult, ModelVersion, Stage

VERSION = ModelVersion(
    model="fraud",
    version="1.1.0",
    stage=Stage.PRODUCTION,
    uri="/models/1",
    run_id="r1",
    mlflow_version="2",
    model_type="classification",
    task="classification",
    description="",
    parent="1.0.0",
    manifest=wire.Manifest(
        "fraud", "classification", (wire.Field("x", "double", required=True),), "t", ("a", "b")
    ),
    metrics={"f1": 0.5},
    params={"algorithm": "ridge"},
    tags={"code.commit": "abc", "environment.python": "3.11", "team": "risk"},
    dataset={"digest": "d", "source": "rows.csv"},
    gates=(GateResult("size", passed=False, detail="600 MB"),),
    reference={},
    created_at=clock.from_epoch_us(0),
)


def test_document_is_complete_and_plain_json() -> None:
    assert json.loads(json.dumps(lineage.document(VERSION))) == {
        "model": "fraud",
        "version": "1.1.0",
        "parent": "1.0.0",
        "created_at": "1970-01-01T00:00:00+00:00",
        "dataset": {"digest": "d", "source": "rows.csv"},
        "schema": {
            "task": "classification",
            "target": "t",
            "classes": ["a", "b"],
            "inputs": [{"name": "x", "type": "double", "required": True}],
        },
        "code": {"commit": "abc"},
        "run": "r1",
        "params": {"algorithm": "ridge"},
        "metrics": {"f1": 0.5},
        "environment": {"python": "3.11"},
        "gates": [{"name": "size", "passed": False, "detail": "600 MB"}],
        "artifact": "/models/1",
        "mlflow_version": "2",
    }
