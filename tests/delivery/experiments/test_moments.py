"""Sums of products: they merge by addition."""

from __future__ import annotations

import numpy as np

from serinus.delivery.experiments import moments as mo


def test_moments_merge_by_addition() -> None:
    rng = np.random.default_rng(1)
    y, n, x = rng.normal(size=(3, 100))
    whole = mo.total(y, n, x)
    parts = mo.total(y[:40], n[:40], x[:40]) + mo.total(y[40:], n[40:], x[40:])
    np.testing.assert_allclose(whole, parts)


def test_moments_hold_each_product_once() -> None:
    found = mo.total([2.0, 3.0], [1.0, 2.0], [5.0, 7.0])
    assert found.tolist() == [2, 5, 3, 12, 13, 8, 31, 5, 19, 74]


def test_moments_of_a_plain_mean_count_units_twice() -> None:
    found = mo.total(np.ones((3, 4)))
    assert found.shape == (3, mo.WIDTH)
    assert (found[:, mo.N] == found[:, mo.UNITS]).all()
