"""The demo's rows: each used once, honest about what changes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from serinus.data import ingest
from serinus.demo import rows
from serinus.errors import InvalidInput


@pytest.fixture(scope="module")
def dealt() -> rows.Rows:
    return rows.prepare(None, None)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A file without a single number: two texts decide a third."""
    colours, sizes = ["red", "blue", "green"], ["big", "small"]
    frame = pd.DataFrame(
        {
            "colour": [colours[n % 3] for n in range(300)],
            "size": [sizes[n // 3 % 2] for n in range(300)],
            "bought": ["yes" if n % 3 == 0 and n % 7 else "no" for n in range(300)],
        }
    )
    return rows.write(frame, tmp_path / "texts.csv")


def test_prepare_deals_every_row_once(dealt: rows.Rows) -> None:
    whole = ingest.read(rows.BUNDLED).frame
    assert len(dealt.training) + len(dealt.live) + len(dealt.shifted) + len(dealt.after) == len(
        whole
    )
    features = dealt.training.drop(columns=dealt.target)
    for pool in (dealt.live, dealt.shifted, dealt.after):
        assert features.merge(pd.DataFrame(pool.features), how="inner").empty


def test_prepare_same_seed_deals_the_same(dealt: rows.Rows) -> None:
    again = rows.prepare(None, None)
    pd.testing.assert_frame_equal(again.training, dealt.training)
    assert again.live == dealt.live


def test_shift_moves_the_same_inputs_in_both_later_pools(dealt: rows.Rows) -> None:
    frames = [pd.DataFrame(pool.features) for pool in (dealt.live, dealt.shifted, dealt.after)]
    live, shifted, after = (frame.mean() for frame in frames)
    spread = frames[0].std()
    moved = ((shifted - live).abs() / spread) > 0.7
    assert moved.sum() == 15
    assert (((after - live).abs() / spread) > 0.7).equals(moved)


def test_tidied_training_has_other_inputs_and_the_same_target(dealt: rows.Rows) -> None:
    tidied = dealt.tidied_training()
    assert tidied["mean radius"].mean() == pytest.approx(0.0, abs=1e-9)
    assert tidied["mean radius"].std() == pytest.approx(1.0)
    pd.testing.assert_series_equal(tidied["target"], dealt.training["target"])


def test_prepare_without_numbers_renames_texts(texts: Path) -> None:
    dealt = rows.prepare(str(texts), "bought")
    assert set(dealt.tidied_training()["colour"]) == {"RED.", "BLUE.", "GREEN."}
    # Only red ones were bought; in the changed world another word says so.
    bought = [
        {
            row["colour"]
            for row, label in zip(pool.features, pool.labels, strict=True)
            if label == "yes"
        }
        for pool in (dealt.live, dealt.shifted, dealt.after)
    ]
    assert bought[0] == {"red"}
    assert bought[1] == bought[2] != {"red"}
    assert len(bought[1]) == 1


@pytest.mark.parametrize(
    ("data", "target", "said"),
    [
        ("iris", None, "--target"),
        ("wine", "target", "at least 200 usable rows and has 178"),
        ("breast_cancer", "nope", "there is no such column"),
    ],
)
def test_prepare_says_what_is_wrong(data: str, target: str | None, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rows.prepare(data, target)
    assert said in str(caught.value)
