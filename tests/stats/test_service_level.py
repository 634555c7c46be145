"""Service levels: exact against independent integration, one-sided, safe at any size."""

import math
import timeit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.errors import InvalidInput
from serinus.stats import service_level

LIMITS = st.floats(0.001, 0.999)

# (failures, requests, limit): log e against "at most", log e against "at least". Computed once by
# numerical integration of the truncated mixture with mpmath 1.3 at 60 digits.
INTEGRATED = {
    (10, 1_000, 0.05): (-6.21975808840831, 22.9931495450559),
    (100, 1_000, 0.05): (17.1289819909404, -4.66586436343834),
    (0, 100_000, 0.05): (-11.0305574730009, 5124.94156820708),
    (500, 1_000_000, 0.01): (-12.5455527630044, 8043.18843453287),
    (20, 20, 0.05): (57.9931434061794, -3.69763634797622),
    (1_000, 1_000, 0.3): (1200.40690219744, -7.47991660961806),
    (0, 1, 0.5): (-1.01230553387725, 0.492633000406601),
    (3_000, 100_000, 0.05): (-10.1151268074055, 484.388247418232),
    (10_000_000, 1_000_000_000, 0.01): (-11.2146374690193, -8.52811788900906),
    (9_000_000, 1_000_000_000, 0.01): (-17.2019675454795, 52252.4046904816),
    (11_000_000, 1_000_000_000, 0.01): (48906.6769575293, -14.5153661078721),
    (100, 1_000_000_000, 1e-6): (-14.8549214009127, 666.513392583005),
}


@pytest.mark.parametrize("case", INTEGRATED)
def test_service_level_agrees_with_numerical_integration(case: tuple[int, int, float]) -> None:
    breach, kept = INTEGRATED[case]
    assert service_level.log_e_breach(*case) == pytest.approx(breach, rel=1e-9, abs=1e-5)
    assert service_level.log_e_kept(*case) == pytest.approx(kept, rel=1e-9, abs=1e-5)


@given(limit=LIMITS, requests=st.integers(1, 60), part=st.floats(0.001, 1.0))
def test_service_level_expects_at_most_one_on_the_nulls_side(
    limit: float, requests: int, part: float
) -> None:
    failures = np.arange(requests + 1)
    breach = np.exp(service_level.log_e_breach(failures, requests, limit))
    kept = np.exp(service_level.log_e_kept(failures, requests, limit))
    at_limit = stats.binom.pmf(failures, requests, limit)
    assert at_limit @ breach == pytest.approx(1.0)
    assert at_limit @ kept == pytest.approx(1.0)
    assert stats.binom.pmf(failures, requests, part * limit) @ breach <= 1 + 1e-9
    assert stats.binom.pmf(failures, requests, 1 - part * (1 - limit)) @ kept <= 1 + 1e-9


@given(
    limit=LIMITS,
    requests=st.integers(1, 10**9),
    part=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.0, 1.0)),
)
def test_service_level_is_finite_mirrored_and_rises_with_failures(
    limit: float, requests: int, part: float
) -> None:
    failures = int(part * (requests - 1))
    here = service_level.log_e_breach(failures, requests, limit)
    more = service_level.log_e_breach(failures + 1, requests, limit)
    assert math.isfinite(here)
    assert more >= here - 1e-5 * (1 + requests / 1e9)
    mirrored = service_level.log_e_kept(requests - failures, requests, 1 - limit)
    assert mirrored == pytest.approx(here, rel=1e-7, abs=1e-4)


def test_service_level_takes_any_shape_and_says_nothing_without_requests() -> None:
    failures = np.array([[0, 3], [5, 0]])
    requests = np.array([[0, 100], [100, 10**7]])
    found = service_level.log_e_breach(failures, requests, 0.02)
    assert found.shape == (2, 2)
    for place in np.ndindex(2, 2):
        alone = service_level.log_e_breach(failures[place], requests[place], 0.02)
        assert type(alone) is float
        assert found[place] == pytest.approx(alone, abs=1e-9)
    assert found[0, 0] == pytest.approx(0.0)
    assert service_level.log_e_kept(0, 0, 0.02) == pytest.approx(0.0)


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, math.nan])
def test_service_level_refuses_a_limit_that_no_rate_could_cross(limit: float) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        service_level.log_e_breach(1, 2, limit)


def test_service_level_is_proven_kept_soon_where_it_is_half_the_limit() -> None:
    rng = np.random.default_rng(5)
    looks = np.arange(10, 6001, 10)
    failures = rng.binomial(10, 0.01, (300, looks.size)).cumsum(axis=1)
    hits = service_level.log_e_kept(failures, looks, 0.02) >= math.log(1 / 0.05)
    found = np.where(hits.any(axis=1), looks[hits.argmax(axis=1)], 10**9)
    # Measured over 2,000 runs: 1,040 challenger requests at the median, 2,440 at nine in ten.
    assert np.median(found) <= 1_200
    assert np.quantile(found, 0.9) <= 2_900


def test_service_level_of_one_verdict_is_quick() -> None:
    for case in ((10, 1_000, 0.05), (10, 10**6, 0.05)):
        call = timeit.repeat(
            lambda case=case: service_level.log_e_breach(*case), number=20, repeat=7
        )
        assert min(call) / 20 < 400e-6


def test_breach_of_counts_near_the_limit_and_far_from_it_is_each_their_own() -> None:
    """In one array, where the far one's series does not converge for the near one."""
    failures, requests = np.array([224.0, 0.0, 9_000.0]), np.array([226.0, 12_495.0, 9_000.0])
    found = service_level.log_e_breach(failures, requests, 0.05)
    alone = [
        service_level.log_e_breach(failed, count, 0.05)
        for failed, count in zip(failures, requests, strict=True)
    ]
    np.testing.assert_array_equal(found, alone)
    assert np.isfinite(found).all()
