from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.data.split import SPLITS, split
from serinus.errors import InvalidInput


def _frame(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": random.normal(size=rows),
            "label": np.arange(rows) % 2,
            "group": random.integers(0, 8, rows),
            "at": random.integers(0, rows, rows),
        }
    )


_BY = {"random": "", "stratified": "label", "grouped": "group", "time": "at"}


@given(
    rows=st.integers(40, 200),
    seed=st.integers(0, 1_000),
    size=st.floats(0.1, 0.5),
    kind=st.sampled_from(SPLITS),
)
def test_split_loses_and_repeats_no_row(rows: int, seed: int, size: float, kind: str) -> None:
    frame = _frame(rows, seed)

    train, test = split(frame, kind=kind, test_size=size, seed=seed, by=_BY[kind])

    assert sorted([*train.index, *test.index]) == list(frame.index)
    assert len(train) > 0 < len(test)
    pd.testing.assert_frame_equal(pd.concat([train, test]).sort_index(), frame)


@given(rows=st.integers(40, 200), seed=st.integers(0, 1_000))
def test_split_stratified_keeps_class_shares(rows: int, seed: int) -> None:
    frame = _frame(rows, seed)

    _, test = split(frame, kind="stratified", test_size=0.25, seed=seed, by="label")

    assert abs(int(test["label"].sum()) - len(test) / 2) <= 1


@given(rows=st.integers(40, 200), seed=st.integers(0, 1_000))
def test_split_grouped_keeps_groups_whole(rows: int, seed: int) -> None:
    train, test = split(_frame(rows, seed), kind="grouped", test_size=0.3, seed=1, by="group")

    assert not set(train["group"]) & set(test["group"])


@given(rows=st.integers(40, 200), seed=st.integers(0, 1_000))
def test_split_time_tests_on_newer_rows_only(rows: int, seed: int) -> None:
    train, test = split(_frame(rows, seed), kind="time", test_size=0.3, seed=1, by="at")

    assert train["at"].max() < test["at"].min()


@pytest.mark.parametrize("kind", SPLITS)
def test_split_is_the_same_for_the_same_seed(kind: str) -> None:
    frame = _frame(80, 3)

    first, second = (
        split(frame, kind=kind, test_size=0.2, seed=9, by=_BY[kind])[1] for _ in range(2)
    )

    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize(
    ("kind", "by", "fact"),
    [
        ("time", "constant", "leaves one side without rows"),
        ("grouped", "constant", "not possible"),
        ("stratified", "unique", "not possible"),
        ("stratified", "nowhere", "needs a column"),
        ("magic", "", "no split"),
    ],
)
def test_split_impossible_says_why(kind: str, by: str, fact: str) -> None:
    frame = _frame(40, 0).assign(constant=1, unique=range(40))

    with pytest.raises(InvalidInput, match=fact):
        split(frame, kind=kind, test_size=0.2, seed=0, by=by)


@pytest.mark.parametrize("size", [0.0, 1.0, -0.2, 7.0])
def test_split_size_that_is_no_share(size: float) -> None:
    with pytest.raises(InvalidInput, match="test size"):
        split(_frame(40, 0), kind="random", test_size=size, seed=0)
