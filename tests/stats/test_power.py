"""Power and sample size against R's documented values and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.errors import InvalidInput
from serinus.stats import power


def test_proportions_of_r():
    # R's ?power.prop.test: n = 50, p1 = .50, p2 = .75 has power 0.740; power = .90 needs n = 76.7.
    assert power.proportions_power(0.5, 0.75, 100) == pytest.approx(0.740, abs=5e-4)
    assert power.proportions_units(0.5, 0.75, power=0.9) / 2 == pytest.approx(76.7, abs=0.05)


def test_means_of_r():
    # R's ?power.t.test: n = 20, delta = 1 has power 0.8689528; power = .90 needs n = 22.02110,
    # and one-sided n = 17.84713.
    assert power.means_power(1, 1, 40) == pytest.approx(0.8689528, abs=5e-7)
    assert power.means_units(1, 1, power=0.9) / 2 == pytest.approx(22.02110, abs=5e-5)
    one_sided = power.means_units(1, 1, power=0.9, two_sided=False)
    assert one_sided / 2 == pytest.approx(17.84713, abs=5e-5)


def test_proportions_of_an_uneven_split_hold_in_simulation():
    units, share = 4_000, 0.2
    promised = power.proportions_power(0.1, 0.14, units, share=share)
    rng = np.random.default_rng(3)
    champion = rng.binomial(int(units * (1 - share)), 0.1, 4_000)
    challenger = rng.binomial(int(units * share), 0.14, 4_000)
    pooled = (champion + challenger) / units
    error = np.sqrt(pooled * (1 - pooled) * (1 / (units * share) + 1 / (units * (1 - share))))
    z = (challenger / (units * share) - champion / (units * (1 - share))) / error
    assert np.mean(np.abs(z) > stats.norm.isf(0.025)) == pytest.approx(promised, abs=0.03)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.05, 0.95), st.floats(0.1, 0.95))
def test_proportions_units_invert_the_power(champion, challenger, share, wanted):
    if abs(champion - challenger) < 0.01:
        return
    units = power.proportions_units(champion, challenger, power=wanted, share=share)
    reached = power.proportions_power(champion, challenger, max(units, 4), share=share)
    assert reached >= wanted - 1e-6
    mirrored = power.proportions_units(challenger, champion, power=wanted, share=1 - share)
    assert mirrored == pytest.approx(units, rel=1e-6)


@given(st.floats(0.05, 2.0), st.floats(0.1, 10.0), st.floats(0.1, 0.9))
def test_means_units_have_no_unit_of_their_own(difference, scale, share):
    units = power.means_units(difference, 1.0, share=share)
    assert power.means_units(-difference * scale, scale, share=share) == pytest.approx(units)
    assert power.means_power(difference, 1.0, max(units, 4), share=share) >= 0.8 - 1e-6


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: power.proportions_power(0, 0.5, 100), "champion"),
        (lambda: power.proportions_power(0.5, math.nan, 100), "challenger"),
        (lambda: power.proportions_power(0.5, 0.6, math.nan), "units"),
        (lambda: power.proportions_power(0.5, 0.6, 3), "units"),
        (lambda: power.proportions_units(0.5, 0.6, share=1.0), "share"),
        (lambda: power.proportions_units(0.5, 0.6, power=1.0), "power"),
        (lambda: power.proportions_units(0.5, 0.5), "reachable"),
        (lambda: power.means_power(math.inf, 1, 100), "difference"),
        (lambda: power.means_power(1, 0, 100), "deviation"),
        (lambda: power.means_units(1, math.nan), "deviation"),
        (lambda: power.means_units(0, 1), "reachable"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(call, told):
    with pytest.raises(InvalidInput) as refused:
        call()
    assert told in str(refused.value)
