"""Orders travel on a command line."""

from __future__ import annotations

import msgspec

from serinus.chaos.types import Orders, Point


def test_orders_come_through_as_they_were() -> None:
    orders = Orders(record="/r", strike="every", blow="stop", one_in=7, seed=3, moment="/m")
    assert msgspec.json.decode(msgspec.json.encode(orders), type=Orders) == orders


def test_points_of_one_write_differ_by_side() -> None:
    assert Point("COMMIT", "before") != Point("COMMIT", "after")
