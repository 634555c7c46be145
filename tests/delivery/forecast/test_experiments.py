"""An A/B test is told beforehand what it will have seen, and what it can find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.delivery.samples import BASIS, NUMBERS, plan_of

from serinus.delivery.forecast.experiments import FEWEST_UNITS, experiment_forecast
from serinus.delivery.forecast.types import ExperimentForecast, Traffic
from serinus.delivery.planning.plan import Basis
from serinus.stats.class_tallies import Tally

BUSY = Traffic(requests=24_000, seconds=86_400.0, error_rate=0.0, loss=0.1, labelled=1.0)


def told(
    basis: Basis = BASIS, traffic: Traffic | None = BUSY, **fields: object
) -> ExperimentForecast:
    asked = {"strategy": "ab_test", "min_hours": 48.0, "max_hours": 48.0, **fields}
    entities = asked.pop("entities", None)
    found = experiment_forecast(plan_of(basis, **asked), traffic, entities)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_units_are_those_of_the_planned_time() -> None:
    found = told()

    assert (found.hours, found.units, found.fewest) == (48.0, 48_000.0, 24_000.0)
    assert (found.metric, found.unit) == ("accuracy", "points")


@pytest.mark.parametrize(
    ("sample", "hours", "units"),
    [
        (200, 12.0, 12_000.0),
        (24_000, 24.0, 24_000.0),
        (30_000, 30.0, 30_000.0),
        (90_000, 48.0, 48_000.0),
    ],
    ids=["least time", "sample", "larger sample", "longest time"],
)
def test_end_comes_with_the_sample_between_the_least_and_the_longest_time(
    sample: int, hours: float, units: float
) -> None:
    found = told(min_requests=sample, min_hours=12.0)

    assert (found.hours, found.units) == (pytest.approx(hours), pytest.approx(units))
    assert (found.sample, found.least_hours, found.most_hours) == (sample, 12.0, 48.0)


def test_sample_of_entities_is_waited_for_until_they_have_come() -> None:
    few = told(min_requests=300, min_hours=1.0, unit="entity", entities=500)
    all_of_them = told(min_requests=501, min_hours=1.0, unit="entity", entities=500)

    assert few.units == pytest.approx(300, rel=0.02) or few.hours == 1.0
    assert all_of_them.hours == 48.0


def test_only_ab_tests_have_one() -> None:
    assert experiment_forecast(plan_of(), BUSY) is None


def test_nothing_is_known_without_traffic() -> None:
    found = told(traffic=None)

    assert (found.hours, found.units, found.fewest, found.effect) == (48.0, None, None, None)


def test_smallest_arm_and_the_labels_that_come_decide() -> None:
    found = told(others=("3",), split=(0.1, 0.3), traffic=Traffic(
        requests=24_000, seconds=86_400.0, loss=0.1, labelled=0.5
    ))  # fmt: skip

    assert found.units == 24_000
    assert found.fewest == pytest.approx(2_400)
    assert told(metric="latency").fewest == 24_000


def test_what_has_no_label_does_not_count_into_the_sample() -> None:
    half = Traffic(requests=24_000, seconds=86_400.0, loss=0.1, labelled=0.5)
    none = Traffic(requests=24_000, seconds=86_400.0, loss=0.1, labelled=0.0)
    asked = {"min_requests": 12_000, "min_hours": 1.0, "max_hours": 48.0}

    assert told(**asked).hours == pytest.approx(12.0)
    assert told(traffic=half, **asked).hours == pytest.approx(24.0)
    assert told(traffic=half, metric="latency", **asked).hours == pytest.approx(12.0)
    nothing = told(traffic=none, **asked)
    assert (nothing.hours, nothing.units, nothing.effect) == (48.0, 0.0, None)


def test_effect_is_found_in_four_of_five_tests() -> None:
    """Simulated, with the z test itself."""
    effect = told(split=(0.25,)).effect
    assert effect is not None
    rng = np.random.default_rng(7)
    champion = rng.binomial(36_000, 0.9, 4_000) / 36_000
    challenger = rng.binomial(12_000, 0.9 - effect, 4_000) / 12_000
    pooled = (3 * champion + challenger) / 4
    z = (champion - challenger) / np.sqrt(pooled * (1 - pooled) * (1 / 36_000 + 1 / 12_000))

    assert (2 * stats.norm.sf(abs(z)) < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def test_effect_of_a_mean_is_in_standard_deviations() -> None:
    found = told(NUMBERS)

    # Two arms of n: (1.96 + 0.84) sqrt(2 / n).
    assert found.effect == pytest.approx(2.8 * (2 / 24_000) ** 0.5, rel=0.01)
    assert (found.metric, found.unit) == ("mse", "standard deviations")


def test_effect_grows_with_challengers_and_confidence() -> None:
    usual = told(split=(0.25,)).effect
    assert usual is not None
    for more in (
        told(split=(0.25, 0.25), others=("3",)),
        told(split=(0.25,), confidence=0.99),
        told(split=(0.25,), min_hours=24.0),
    ):
        assert more.effect is not None
        assert more.effect > usual


def test_too_little_traffic_finds_nothing() -> None:
    found = told(traffic=Traffic(requests=200, seconds=86_400.0, loss=0.1), split=(0.1,))

    assert found.fewest is not None
    assert found.fewest < FEWEST_UNITS
    assert found.effect is None


def test_entities_count_once() -> None:
    found = told(unit="entity", entities=500)

    assert found.units is not None
    assert 100 < found.units <= 500


def test_effect_of_a_class_is_told_however_much_is_seen() -> None:
    """Far beyond certainty the power of a t test cannot be computed; nobody needs it there."""
    often = Basis(BASIS.quality, classes=(0, 1), tallies=(Tally(1, 999, 600, 600, 570),))
    some, many = (
        told(often, Traffic(requests=requests, seconds=86_400.0), metric="f1").effect
        for requests in (240_000, 24_000_000)
    )

    assert some is not None
    assert many == pytest.approx(some / 10, rel=0.02)
