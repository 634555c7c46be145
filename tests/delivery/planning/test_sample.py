"""A test whose sample nobody says is as large as it must be to find what matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.delivery.experiments import contrast, moments
from serinus.delivery.forecast.experiments import experiment_forecast
from serinus.delivery.forecast.types import Traffic
from serinus.delivery.planning import sample
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale, whole
from serinus.delivery.planning.positives import Share
from serinus.delivery.types import DeploymentSpec, Experiment
from serinus.errors import InvalidInput
from serinus.stats.class_tallies import Tally

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


def fraud(name: str, share: float = 0.02, rate: float = 0.7, rows: int = 1_000_000) -> Tally:
    """A class as often claimed as true, so that recall, precision and F1 are the same."""
    count = round(share * rows)
    return Tally(name, rows, count, count, round(rate * count))


RARE = Basis(
    quality_scale("classification", {"accuracy": 0.988}),
    classes=("fine", "fraud"),
    tallies=(fraud("fine", share=0.98, rate=0.99), fraud("fraud")),
)
POINTS = 0.02


def arms(metric: str, rate: float, units: int, rng: np.random.Generator) -> Any:
    """The moments of 2,000 arms in which the metric of a class of 2 % has such a rate."""
    hit, missed = 0.02 * rate, 0.02 * (1 - rate)
    both, claimed, true, _ = rng.multinomial(
        units, [hit, missed, missed, 1 - hit - 2 * missed], 2_000
    ).T
    found = np.zeros((2_000, moments.WIDTH))
    found[:, moments.UNITS] = units
    y, once = {"recall": (1, true), "precision": (1, claimed), "f1": (2, true + claimed)}[metric]
    found[:, moments.Y] = y * both
    found[:, moments.N] = y * both + once
    found[:, moments.YY] = found[:, moments.YN] = y * y * both
    found[:, moments.NN] = y * y * both + once
    return found


def found_in(metric: str, units: int, share: float) -> float:
    """The share of simulated tests, as analysed at their end, that find the planned difference."""
    rng = np.random.default_rng(11)
    champion = arms(metric, 0.7, round(units * (1 - share)), rng)
    challenger = arms(metric, 0.7 - POINTS, round(units * share), rng)
    return float((contrast.compare(champion, challenger).p_value() < 0.05).mean())


@pytest.mark.parametrize("metric", ["recall", "precision", "f1"])
@pytest.mark.parametrize("share", [0.5, 0.2])
def test_sample_of_a_rare_class_finds_its_difference_in_four_of_five_tests(
    metric: str, share: float
) -> None:
    planned = whole(asked(metric=metric, split=(share,), quality_points=POINTS), RARE)
    by_accuracy = sample.units(
        experiment(split=(share,)), points=POINTS, loss=RARE.quality.baseline
    )

    assert planned.min_requests is not None
    assert found_in(metric, planned.min_requests, share) == pytest.approx(0.8, abs=0.03)
    # Accuracy counts every unit, and of a rare class it is always high.
    assert by_accuracy < planned.min_requests / 50
    assert found_in(metric, by_accuracy, share) < 0.15


def test_sample_of_a_class_is_what_its_own_units_need_by_their_share() -> None:
    """Every unit of the class says of recall what any unit says of accuracy at that rate."""
    recall = whole(asked(metric="recall"), RARE).min_requests
    of_class = sample.units(experiment(), points=0.02, loss=0.3)

    assert recall == pytest.approx(of_class / 0.02, rel=0.01)
    assert whole(asked(metric="recall:fraud"), RARE).min_requests == recall
    often = whole(asked(metric="recall:fine"), RARE).min_requests
    assert often is not None
    assert recall is not None
    assert often < recall / 50


def test_class_of_which_nothing_is_known_is_taken_for_rare() -> None:
    blank = Basis(RARE.quality, classes=RARE.classes)
    unknown = whole(asked(metric="recall"), blank).min_requests
    answers = whole(asked(metric="recall"), replace(blank, second=Share(0.1, 0.1))).min_requests

    # As a conversion of a half, of one unit in a hundred or in ten.
    assert unknown == pytest.approx(100 * 19_700, rel=0.01)
    assert answers == pytest.approx(10 * 19_700, rel=0.01)


def test_class_that_never_came_has_no_sample_but_a_remedy() -> None:
    never = replace(RARE, tallies=(Tally("fraud", 100_000, 0, 0, 0),))

    with pytest.raises(InvalidInput) as refused:
        whole(asked(metric="recall"), never)

    assert refused.value.what == (
        "no sample can be planned: fraud never came in the 100,000 rows that the champion did not "
        "learn from"
    )
    assert refused.value.where == "metric"
    assert "Say min_requests" in refused.value.remedy
    assert "(3 in 100,000)" in refused.value.remedy
    assert "2 points of recall takes 65" in refused.value.remedy
    # Who says how many is asked nothing, and accuracy asks about no class.
    plan = make_plan(asked(metric="recall", min_requests=9_000), never, salt="d")
    assert plan.steps[0].min_requests == 9_000
    assert whole(asked(), never).min_requests is not None
    silent = replace(RARE, tallies=(Tally("fraud", 100_000, 90, 0, 0),))
    with pytest.raises(InvalidInput, match="fraud was never claimed in"):
        whole(asked(metric="precision"), silent)


def test_forecast_of_a_class_finds_what_its_sample_is_planned_for() -> None:
    plan = make_plan(asked(metric="f1", split=(0.3,)), RARE, salt="d")
    size = plan.steps[0].min_requests
    told = experiment_forecast(plan, Traffic(requests=size, seconds=86_400.0, labelled=1.0))

    assert told is not None
    assert told.effect == pytest.approx(0.02, rel=0.01)
    assert told.fewest == pytest.approx(0.3 * size * 0.026, rel=0.01)


def test_difference_is_told_in_words() -> None:
    assert sample.difference(experiment(), 0.02) == "2 points of accuracy"
    means = sample.difference(experiment(metric="mae"), 0.02)
    assert means == "0.1 standard deviations of mae"
    rare = make_plan(asked(metric="recall:fraud"), RARE, salt="").experiment
    assert rare is not None
    assert sample.reason(rare) == ("as only 2 % are of this class and the others say nothing of it")
    assert sample.reason(experiment()) == ""
