from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from serinus.registry import ranges

NOTHING = (UNSET, UNSET)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 3.0], (-1.0, 5.0)),
        ([1, 3, 2], (-1.0, 5.0)),
        ([4.0, 4.0], (0.0, 8.0)),
        ([0.0], (-1.0, 1.0)),
        ([None, 1.0, math.inf], (0.0, 2.0)),
        ([None, math.nan], NOTHING),
        ([], NOTHING),
        ([-1e308, 1e308], NOTHING),
    ],
)
def test_far_is_as_far_again_as_training_goes(values: list[float | None], expected: object) -> None:
    assert ranges.far(pd.Series(values, dtype=object if not values else None)) == expected


def test_far_of_booleans_with_gaps() -> None:
    column = pd.Series(np.array([True, None, False], dtype=object))
    assert ranges.far(column) == (-1.0, 2.0)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1))
def test_no_value_of_training_is_far(values: list[float]) -> None:
    low, high = ranges.far(pd.Series(values))
    assert all(low <= value <= high for value in values)


def test_known_are_the_categories_unless_they_are_many_or_long() -> None:
    assert ranges.known(pd.Series(["b", None, "a", "b"])) == ("a", "b")
    assert ranges.known(pd.Series([None, None], dtype=object)) is UNSET
    assert ranges.known(pd.Series([f"c{place}" for place in range(65)])) is UNSET
    assert ranges.known(pd.Series(["x" * 101])) is UNSET
