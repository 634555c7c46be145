from __future__ import annotations

import math

import pytest

from serinus.registry.model_types import ModelType
from serinus.training import gates
from serinus.training.evaluation import Estimate, Evaluation

PROFILE = ModelType(
    task="classification",
    least={"roc_auc": 0.6},
    most={"log_loss": 0.5},
    benchmark="brier",
    tolerance=0.02,
    latency_ms=10,
    size_mb=1,
)


def _evaluation(**values: float) -> Evaluation:
    metrics = {name: Estimate(value, value, value) for name, value in values.items()}
    return Evaluation("classification", 100, 1_000, metrics)


@pytest.mark.parametrize(
    ("auc", "loss", "passed"),
    [
        (0.7, 0.4, [True, True]),
        (0.6, 0.5, [True, True]),
        (0.59, 0.4, [False, True]),
        (0.7, 0.51, [True, False]),
        (math.nan, 0.1, [False, True]),
    ],
)
def test_thresholds_hold_at_the_bound(auc: float, loss: float, passed: list[bool]) -> None:
    found = gates.thresholds(PROFILE, _evaluation(roc_auc=auc, log_loss=loss))

    assert [gate.name for gate in found] == ["threshold roc_auc", "threshold log_loss"]
    assert [gate.passed for gate in found] == passed


def test_thresholds_of_a_metric_that_is_not_there_fail() -> None:
    found = gates.thresholds(PROFILE, _evaluation(roc_auc=0.9))

    assert [gate.passed for gate in found] == [True, False]
    assert "has no log_loss" in found[1].detail


@pytest.mark.parametrize(("brier", "passed"), [(0.05, True), (0.12, True), (0.13, False)])
def test_benchmark_allows_the_tolerance(brier: float, passed: bool) -> None:
    gate = gates.benchmark(PROFILE, _evaluation(brier=brier), "1.0.0", _evaluation(brier=0.1))

    assert (gate.name, gate.passed) == ("benchmark brier", passed)
    assert "champion 1.0.0 on the same 100 rows" in gate.detail


@pytest.mark.parametrize(("milliseconds", "passed"), [(10.0, True), (10.1, False)])
def test_latency_budget(milliseconds: float, passed: bool) -> None:
    assert gates.latency(PROFILE, milliseconds).passed is passed


@pytest.mark.parametrize(("size", "passed"), [(1_000_000, True), (1_000_001, False)])
def test_size_budget(size: int, passed: bool) -> None:
    assert gates.size(PROFILE, size).passed is passed
