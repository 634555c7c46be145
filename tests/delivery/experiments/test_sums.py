"""Sums as the store keeps them."""

from __future__ import annotations

from tests.delivery.experiments.trials import design, folded, settled

from serinus.delivery.experiments.sums import Sums, decode


def test_sums_come_back_as_they_were() -> None:
    asked = design(metric="revenue", units=40)
    items = [settled(n, n % 3, x=float(n), groups=(n % 2,), outcome=2.0 * n) for n in range(50)]
    sums = folded(items, asked)
    again = decode(sums.encode())
    assert again.encode() == sums.encode()
    assert (again.units, again.units_of(1), again.closed_at) == (40, 13, sums.closed_at)
    assert len(again.looks) == len(sums.looks)


def test_nothing_is_empty_sums() -> None:
    assert decode(b"").encode() == Sums().encode()


def test_stretch_is_new_for_new_shares_only() -> None:
    sums = Sums()
    assert [sums.stretch((0.5,)), sums.stretch((0.6,)), sums.stretch((0.5,))] == [0, 1, 0]
