from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.data import columns


@given(st.lists(st.one_of(st.none(), st.floats(), st.text(max_size=8)), min_size=1, max_size=40))
def test_checks_are_total_over_hostile_columns(values: list[object]) -> None:
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object), "t": range(len(values))})
    for kind in ("text", "unusable"):
        found = columns.broken_values(frame[["x"]], {"x": kind})
        columns.useless(frame, {"x": kind})
        columns.remarks(frame, {"x": kind})
        assert all(finding.place == "column 'x'" for finding in found)


@given(st.lists(st.floats(), min_size=1, max_size=40))
def test_broken_values_of_numbers_are_the_infinite_ones(values: list[float]) -> None:
    frame = pd.DataFrame({"x": values})
    infinite = [row for row, value in enumerate(values) if abs(value) == float("inf")]
    found = columns.broken_values(frame, {"x": "number"})

    if infinite:
        assert columns.rows_named(infinite) in found[0].what
    else:
        assert found == []


@pytest.mark.parametrize(
    ("positions", "told"),
    [
        ([0], "row 1"),
        ([0, 8], "rows 1, 9"),
        (list(range(7)), "rows 1, 2, 3, 4, 5 and 2 more"),
    ],
)
def test_rows_named_counts_from_one(positions: list[int], told: str) -> None:
    assert columns.rows_named(positions) == told


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (["1", "2", "3", "4", "x"], True),
        (["1", "2", "x", "y", "z"], False),
        (["a", "b"], False),
        ([None, None], False),
        (["1", None, "2.5", "-3e4", None], True),
    ],
)
def test_is_number_with_faults(values: list[object], meant: bool) -> None:
    assert columns.is_number_with_faults(pd.Series(values, dtype=object)) is meant


def test_leaks_need_the_same_values_or_a_renaming() -> None:
    frame = pd.DataFrame(
        {
            "t": [0, 1] * 20,
            "renamed": ["no", "yes"] * 20,
            "swapped": [1, 0] * 20,
            "nearly": [0, 1] * 19 + [1, 1],
            "finer": range(40),
        }
    )
    kinds = dict.fromkeys(("renamed", "swapped", "nearly", "finer"), "number")

    found = [finding.place for finding in columns.leaks(frame, kinds, "t")]
    assert found == ["column 'renamed'", "column 'swapped'"]
