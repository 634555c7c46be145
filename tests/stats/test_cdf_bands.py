"""Bands of a distribution: the published radius, and coverage at every look."""

import math

import numpy as np
import pytest

from serinus.errors import InvalidInput
from serinus.stats import cdf_bands


def test_radius_is_the_published_one() -> None:
    # Worked out by hand from theorem 2: log log(1000 e) = 2.0679, 0.8 log(32240) = 8.3048.
    assert cdf_bands.radius(1_000, 0.05) == pytest.approx(0.85 * math.sqrt(10.3727e-3), rel=1e-4)
    # delivery.md: 0.087, 0.028 and 0.009 at alpha .05.
    found = cdf_bands.radius(np.array([1_000, 10_000, 100_000]), 0.05)
    assert found == pytest.approx([0.087, 0.028, 0.009], abs=5e-4)


def test_radius_without_observations_is_everything_and_falls_with_them() -> None:
    found = cdf_bands.radius(np.array([0, 1, 10, 100, 10**9]))
    assert found[0] == 1.0
    assert (np.diff(found) <= 0).all()


def test_band_holds_the_true_law_at_every_look() -> None:
    rng = np.random.default_rng(0)
    law = np.full(8, 1 / 8)
    counts = rng.multinomial(10, law, (200, 300)).cumsum(axis=1)
    share, low, high = cdf_bands.band(counts, alpha=0.05)
    truth = law.cumsum()
    inside = ((low <= truth + 1e-12) & (truth <= high + 1e-12)).all(axis=(1, 2))
    assert inside.mean() >= 0.95
    assert share[..., -1] == pytest.approx(1.0)
    assert (low >= 0).all()
    assert (high <= 1).all()


def test_band_without_observations_is_everything() -> None:
    share, low, high = cdf_bands.band([0, 0, 0])
    assert share.tolist() == low.tolist() == [0.0, 0.0, 0.0]
    assert high.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0])
def test_radius_refuses_what_is_no_probability(alpha: float) -> None:
    with pytest.raises(InvalidInput):
        cdf_bands.radius(10, alpha)
