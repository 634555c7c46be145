from __future__ import annotations

from dataclasses import replace

import pytest

from serinus import clock, wire
from serinus.registry.types import GateResult, ModelVersion, Stage

PASSED = GateResult("size", passed=True, detail="")
FAILED = GateResult("latency", passed=False, detail="")
VERSION = ModelVersion(
    model="m",
    version="1.0.0",
    stage=Stage.NONE,
    uri="",
    run_id="",
    mlflow_version="",
    model_type="regression",
    task="regression",
    description="",
    parent=None,
    manifest=wire.Manifest("m", "regression", (), "t"),
    metrics={},
    params={},
    tags={},
    dataset={},
    gates=(),
    reference={},
    created_at=clock.from_epoch_us(0),
)


@pytest.mark.parametrize(
    ("gates", "failed"),
    [((), ()), ((PASSED,), ()), ((PASSED, FAILED), (FAILED,))],
)
def test_failed_gates(gates: tuple[GateResult, ...], failed: tuple[GateResult, ...]) -> None:
    assert replace(VERSION, gates=gates).failed_gates == failed


def test_stage_is_spelled_as_mlflow_spells_it() -> None:
    assert [str(stage) for stage in Stage] == ["None", "Staging", "Production", "Archived"]
