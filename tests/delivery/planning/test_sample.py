"""A test whose sample nobody says is as large as it must be to find what matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.delivery.forecast.experiments import experiment_forecast
from serinus.delivery.forecast.types import Traffic
from serinus.delivery.planning import sample
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale, whole
from serinus.delivery.types import DeploymentSpec, Experiment

CLASSES = Basis(quality_scale("classification", {"accuracy": 0.9}), classes=(0, 1))
NUMBERS = Basis(quality_scale("regression", {"mae": 2.0}))


def experiment(**fields: Any) -> Experiment:
    usual: dict[str, Any] = {
        "challengers": ("2",), "split": (0.5,), "metric": "accuracy", "min_seconds": 1.0,
        "planned_seconds": 2.0, "confidence": 0.95, "covariate": "", "allocation": "fixed",
    }  # fmt: skip
    return Experiment(**{**usual, **fields})


def asked(**fields: Any) -> DeploymentSpec:
    return DeploymentSpec(model="m", challenger="2", strategy="ab_test", **fields)


def test_sample_finds_the_smallest_difference_of_interest_in_four_of_five_tests() -> None:
    """Simulated, with the z test itself."""
    size = sample.units(experiment(split=(0.25,)), points=0.02, loss=0.1)
    rng = np.random.default_rng(7)
    arms = (size * 3 // 4, size // 4)
    right = [rng.binomial(n, p, 4_000) / n for n, p in zip(arms, (0.9, 0.88), strict=True)]
    pooled = (3 * right[0] + right[1]) / 4
    z = (right[0] - right[1]) / np.sqrt(pooled * (1 - pooled) * (1 / arms[0] + 1 / arms[1]))

    assert (2 * stats.norm.sf(abs(z)) < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def test_what_nobody_knows_has_a_documented_number() -> None:
    # (1.96 + 0.84)^2 times the variance of both arms, by the difference's square.
    assert sample.units(experiment(metric="conversion"), points=0.02, loss=0.1) == 19_700
    assert sample.units(experiment(metric="revenue"), points=0.02, loss=0.1) == 3_200


@given(
    st.floats(0.0, 1.0), st.floats(0.01, 0.2), st.floats(0.05, 0.9), st.floats(0.6, 0.99),
)  # fmt: skip
def test_smaller_differences_and_more_certainty_take_more(
    loss: float, points: float, share: float, confidence: float
) -> None:
    test = experiment(split=(share,), confidence=confidence)
    size = sample.units(test, points=points, loss=loss)

    assert size % 100 == 0
    assert size > 0
    assert sample.units(test, points=points / 2, loss=loss) >= size
    surer = experiment(split=(share,), confidence=(1 + confidence) / 2)
    assert sample.units(surer, points=points, loss=loss) >= size
    more = experiment(challengers=("2", "3"), split=(share / 2,) * 2, confidence=confidence)
    assert sample.units(more, points=points, loss=loss) >= size


def test_answers_without_labels_do_not_count() -> None:
    size = sample.units(experiment(), points=0.02, loss=0.1)
    half = sample.units(experiment(), points=0.02, loss=0.1, labelled=0.5)
    latency = experiment(metric="latency")

    assert half == pytest.approx(2 * size, abs=100)
    assert sample.units(latency, points=0.02, loss=0.1, labelled=0.5) == 3_200


def test_recent_traffic_stands_above_the_tests_of_the_champion() -> None:
    recent = Basis(CLASSES.quality, classes=(0, 1), loss=0.4)

    assert whole(asked(), CLASSES).min_requests == 7_700
    assert whole(asked(), recent).min_requests == 19_000
    assert whole(asked(min_requests=9), recent).min_requests == 9
    assert whole(asked(), NUMBERS).min_requests == 3_200


def test_plan_keeps_the_sample_that_its_forecast_promises() -> None:
    plan = make_plan(asked(), CLASSES, salt="d")
    busy = Traffic(requests=240_000, seconds=86_400.0, loss=0.1, labelled=1.0)
    told = experiment_forecast(plan, Traffic(requests=7_700, seconds=86_400.0, loss=0.1))
    sooner = experiment_forecast(plan, busy)

    assert plan.steps[0].min_requests == 7_700
    assert told is not None
    assert told.effect == pytest.approx(0.02, rel=0.02)
    # The least time brings more than the sample, and with it more than was promised.
    assert sooner is not None
    assert sooner.effect is not None
    assert sooner.effect < 0.01


def test_difference_is_told_in_words() -> None:
    assert sample.difference(experiment(), 0.02) == "2 points of accuracy"
    means = sample.difference(experiment(metric="mae"), 0.02)
    assert means == "0.1 standard deviations of mae"
