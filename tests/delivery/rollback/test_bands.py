"""Earlier ranges, and evidence for or against being in them."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from tests.delivery.rollback.simulation import CRITERIA, SOUND, Traffic

from serinus.delivery.rollback import bands, counts
from serinus.delivery.rollback.counts import Counts
from serinus.registry.model_types import RollbackCriteria

BOUND = log(1_000.0)


def numbers(random: np.random.Generator, scale: float, number: int = 400) -> Counts:
    """Answers and errors of a regression."""
    levels = counts.signed_octaves(random.lognormal(5.0, 0.4, number) * scale)
    places, found = np.unique(levels, return_counts=True)
    errors = np.abs(random.normal(0, 10 * scale, number))
    values = random.normal(3.0 / scale, 1.0, number)
    return Counts(
        requests=number,
        answered=number,
        numbers=dict(zip(places.tolist(), found.tolist(), strict=True)),
        labelled=number,
        loss=float(errors.sum()),
        loss_squares=float((errors**2).sum()),
        valued=number,
        value=float(values.sum()),
        value_squares=float((values**2).sum()),
    )


def test_bands_of_too_little_are_none() -> None:
    assert bands.bands([], CRITERIA) == ()
    assert bands.bands([Counts(requests=50)], CRITERIA) == ()


def test_bands_cover_what_a_sound_model_goes_on_to_show() -> None:
    """At every look of ten minutes no band of forty models is proven to be left."""
    for seed in range(40):
        traffic = Traffic(seed)
        known = bands.bands(traffic.stretches(SOUND, -600, 60, 1.0), CRITERIA)
        so_far = Counts()
        for stretch in traffic.stretches(SOUND, 0, 60, 1.0)[::6]:
            so_far = counts.total([so_far, stretch])
            for band in known:
                weight = bands.weigh(band, bands.measure(band, so_far))
                assert weight.outside < BOUND, (seed, band)


def test_bands_of_a_regression_see_another_scale() -> None:
    random = np.random.default_rng(1)
    criteria = RollbackCriteria(value_loss=0.2)
    known = bands.bands([numbers(random, 1.0) for _ in range(20)], criteria)
    assert {band.signal for band in known} == {"errors", "answers", "quality", "business"}
    same = counts.total([numbers(random, 1.0) for _ in range(8)])
    other = counts.total([numbers(random, 2.0) for _ in range(8)])
    for band in known:
        if band.signal == "errors":
            continue
        inside = bands.weigh(band, bands.measure(band, same))
        assert inside.inside >= BOUND > inside.outside, band
    left = {
        band.signal
        for band in known
        if bands.weigh(band, bands.measure(band, other)).outside >= BOUND
    }
    assert left == {"answers", "quality", "business"}


def test_bands_leave_out_what_the_model_type_does_not_ask() -> None:
    criteria = RollbackCriteria(quality_points=None)
    known = bands.bands(Traffic(1).stretches(SOUND, 0, 30, 1.0), criteria)
    assert "quality" not in {band.signal for band in known}


def test_an_outage_of_yesterday_is_not_what_is_usual() -> None:
    quiet = [Counts(requests=1_000, failures=5) for _ in range(100)]
    broken = Counts(requests=1_000, failures=900)
    (usual,) = bands.bands(quiet, CRITERIA)
    (still,) = bands.bands([*quiet[:50], broken, *quiet[50:]], CRITERIA)
    assert usual.high == pytest.approx(still.high, rel=0.05)


def test_bursts_make_requests_count_for_less() -> None:
    even = [Counts(requests=1_000, failures=20) for _ in range(40)]
    bursty = [Counts(requests=1_000, failures=40 * (number % 2)) for number in range(40)]
    (calm,), (wild,) = bands.bands(even, CRITERIA), bands.bands(bursty, CRITERIA)
    assert calm.bursts == 1.0
    assert wild.bursts > 10
    seen = bands.Measured(300, 3_000)
    assert bands.weigh(wild, seen).outside < bands.weigh(calm, seen).outside


def test_weigh_of_nothing_says_nothing() -> None:
    for band in bands.bands(Traffic(2).stretches(SOUND, 0, 30, 1.0), CRITERIA):
        weight = bands.weigh(band, bands.measure(band, Counts()))
        assert weight.inside == pytest.approx(0.0)
        assert weight.outside <= 0.0


def test_breach_names_how_long_ago_a_harm_began() -> None:
    well = [Counts(requests=200, failures=1)] * 40
    (band,) = (item for item in bands.bands(well, CRITERIA) if item.name == "errors")
    ill = [Counts(requests=200, failures=60)] * 4
    found = bands.breach(band, well + ill)
    assert found.log_e > BOUND
    assert found.stretches == 4
    assert bands.breach(band, well).log_e < 0
    assert bands.breach(band, []) == (0.0, 0)
