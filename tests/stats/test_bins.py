from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.stats import bins

NUMBERS = st.lists(st.none() | st.floats() | st.integers() | st.booleans())
ANYTHING = st.lists(
    st.none()
    | st.floats()
    | st.integers(-(10**400), 10**400)
    | st.text(max_size=5)
    | st.booleans()
    | st.decimals()
    | st.binary(max_size=3)
    | st.lists(st.integers(), max_size=2)
)


@given(ANYTHING, ANYTHING)
def test_bins_any_column_every_value_in_one_cell(reference: list, values: list) -> None:
    for made in (
        bins.bins_for(reference),
        bins.numeric_bins(reference),
        bins.category_bins(reference, top=3),
    ):
        counts = bins.count(made, values)
        assert counts.dtype == np.int64
        assert counts.sum() == len(values)
        assert (counts >= 0).all()
        assert len(counts) == bins.size(made) == len(bins.cells(made))


@given(ANYTHING, ANYTHING, ANYTHING)
def test_bins_merge_is_addition_in_any_order(reference: list, first: list, second: list) -> None:
    made = bins.bins_for(reference)
    merged = bins.count(made, first) + bins.count(made, second)
    assert (merged == bins.count(made, [*second, *first])).all()


@given(ANYTHING)
def test_bins_order_of_reference_rows_changes_nothing(reference: list) -> None:
    assert bins.bins_for(reference) == bins.bins_for(reference[::-1])


@given(ANYTHING)
def test_bins_plain_json_gives_them_back(reference: list) -> None:
    for made in (bins.bins_for(reference), bins.category_bins(reference)):
        text = json.dumps(bins.to_dict(made), allow_nan=False)
        assert bins.from_dict(json.loads(text)) == made


@given(NUMBERS)
def test_numeric_bins_reference_has_nothing_outside_its_range(values: list) -> None:
    made = bins.numeric_bins(values)
    counts = bins.count(made, values)
    assert counts[0] == 0
    assert counts[-3] == 0
    assert list(made.edges) == sorted(set(made.edges))
    assert all(made.lowest < edge <= made.highest for edge in made.edges)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=33, unique=True))
def test_numeric_bins_distinct_values_fill_bins_evenly(values: list[float]) -> None:
    made = bins.numeric_bins(values, bins=32)
    counts = bins.count(made, values)
    assert counts.max() <= math.ceil(len(values) / 32) + 1


def test_numeric_bins_atom_has_its_own_bin() -> None:
    around = np.random.default_rng(1).normal(size=1_000)
    values = np.concatenate([np.zeros(500), around])
    made = bins.numeric_bins(values)
    counts = bins.count(made, values)
    assert counts[bins.cells(made).index("0")] == 500
    assert np.sort(counts)[-2] <= math.ceil(1_500 / 32) + 1


def test_numeric_bins_rare_class_of_few_is_told_apart() -> None:
    made = bins.numeric_bins([0] * 990 + [1] * 9 + [2])
    assert bins.count(made, [0, 0, 1, 2, 0.5])[1:-3].tolist() == [2, 1, 1, 0, 1]


def test_count_outside_missing_infinite_each_have_a_cell() -> None:
    made = bins.numeric_bins(np.arange(100.0))
    counts = bins.count(made, [-1, 100, 1e300, None, math.nan, math.inf, -math.inf, "text", 5])
    cells = dict(zip(bins.cells(made), counts.tolist(), strict=True))
    assert cells["below range"] == 1
    assert cells["above range"] == 2
    assert cells["missing"] == 3
    assert cells["infinite"] == 2


@pytest.mark.parametrize(
    "column",
    [
        [1.5, None, 2.0],
        np.array([1.5, math.nan, 2.0]),
        np.array([1.5, math.nan, 2.0], dtype=np.float32),
        pd.Series([1.5, None, 2.0]),
        pd.array([1.5, None, 2.0], dtype="Float64"),
        np.array([1.5, None, 2.0], dtype=object),
        [Decimal("1.5"), Decimal("sNaN"), Decimal(2)],
    ],
)
def test_count_same_numbers_in_any_container(column: object) -> None:
    made = bins.numeric_bins([1.0, 1.5, 2.0])
    assert bins.count(made, column).tolist() == [0, 0, 0, 1, 0, 1, 0, 1, 0]  # type: ignore[arg-type]


def test_category_bins_top_others_unseen_missing() -> None:
    made = bins.category_bins(["a"] * 5 + ["b"] * 3 + ["c", "d", None], top=2)
    assert made.categories == ("a", "b")
    assert bins.count(made, ["a", "c", "d", "z", None, math.nan]).tolist() == [1, 0, 2, 1, 2]


def test_category_bins_whole_float_is_the_integer() -> None:
    made = bins.category_bins(["x", 1, 1])
    assert bins.count(made, [1.0, np.int64(1), "1", True]).tolist() == [3, 0, 0, 1, 0]


def test_category_bins_million_categories_stay_bounded() -> None:
    made = bins.category_bins([str(number) for number in range(20_000)])
    assert len(made.categories) + len(made.others) <= 64 + bins.MOST_OTHERS
    assert len(bins.to_dict(made)["others"]) == bins.MOST_OTHERS


def test_bins_for_kind_follows_the_values() -> None:
    assert isinstance(bins.bins_for([1, 2.5, None]), bins.NumericBins)
    assert isinstance(bins.bins_for([True, False]), bins.CategoryBins)
    assert isinstance(bins.bins_for(np.array([True])), bins.CategoryBins)
    assert isinstance(bins.bins_for(["a", None]), bins.CategoryBins)


def test_reference_profile_has_rows_and_plain_counts() -> None:
    profile = bins.reference_profile(
        {"x": np.array([1.0, 2.0, 3.0]), "kind": ["a", "b", "a"], "empty": [None] * 3}, [0, 1, 0]
    )
    assert json.loads(json.dumps(profile, allow_nan=False)) == profile
    assert profile["rows"] == 3
    for part in (*profile["features"].values(), profile["output"]):
        assert sum(part["counts"]) == 3
        assert len(part["counts"]) == bins.size(bins.from_dict(part["bins"]))


@pytest.mark.parametrize(
    "document", [{}, {"kind": "tree"}, {"kind": "numeric", "edges": 3, "lowest": 0, "highest": 1}]
)
def test_from_dict_other_documents_are_refused(document: dict) -> None:
    with pytest.raises(InvalidInput):
        bins.from_dict(document)
