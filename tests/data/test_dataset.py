from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from serinus.data import ingest
from serinus.data.dataset import content_digest, without_duplicates


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "amount": random.normal(size=30),
            "count": np.arange(30) % 7,
            "place": ["north", "south", "east"] * 10,
            "member": [True, False] * 15,
            "target": [0, 1] * 15,
        }
    )


def test_content_digest_tells_one_changed_cell(frame: pd.DataFrame) -> None:
    changed = frame.copy()
    changed.loc[29, "place"] = "west"

    assert content_digest(changed) != content_digest(frame)


def test_content_digest_tells_order_name_and_kind(frame: pd.DataFrame) -> None:
    others = [
        frame.iloc[::-1].reset_index(drop=True),
        frame.rename(columns={"place": "where"}),
        frame.astype({"count": str}),
        frame.head(29),
    ]

    assert len({content_digest(other) for other in [frame, *others]}) == 5


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, None], "number"),
        ([1, 2], "number"),
        ([True, False], "boolean"),
        ([True, None], "boolean"),
        (["a", None], "text"),
        ([1, "a"], "text"),
        ([[1], [2]], "unusable"),
        ([b"a", b"b"], "unusable"),
        ([1 + 2j, 3j], "unusable"),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), "time"),
        (pd.array([1, None], dtype="Int64"), "number"),
        (pd.Categorical(["a", "b"]), "text"),
    ],
)
def test_kind_of_column(values: list[object], kind: str) -> None:
    dataset = ingest.from_frame(pd.DataFrame({"x": values}), name="x", source="x")

    assert dataset.kinds["x"] == kind


def test_without_duplicates_keeps_each_row_once(frame: pd.DataFrame) -> None:
    doubled = ingest.from_frame(pd.concat([frame, frame]), name="x", source="x")

    once = without_duplicates(doubled)

    assert len(once.frame) == len(frame)
    assert once.digest == content_digest(frame)
