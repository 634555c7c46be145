from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serinus.monitoring import profile
from serinus.monitoring.cells import Baseline, placed
from serinus.monitoring.profile import Extent, Window
from serinus.monitoring.types import Reference
from serinus.stats import bins
from serinus.wire import Arm, Assignment, Output, Prediction

REFERENCE = Reference(
    model="m",
    version="1.0.0",
    task="regression",
    profile=bins.reference_profile({"x": np.arange(100.0)}, np.arange(100.0)),
    metrics={},
)
BASELINE = Baseline(REFERENCE)


def made(times: list[int]) -> list[Prediction]:
    return [
        Prediction(
            at, Assignment("m", Arm.CHAMPION, 0.0, 1), "1.0.0", (at % 100,), Output(at % 7), 10
        )
        for at in sorted(times)
    ]


def folded(batches: list[list[Prediction]], extent: Extent) -> list[Window]:
    windows: list[Window] = []
    for batch in batches:
        last = windows.pop() if windows and windows[-1].closed_at is None else None
        number = len(windows) + (last is not None)
        windows += profile.fold(last, number, batch, placed(batch, BASELINE), BASELINE, extent)
    return windows


def plain(windows: list[Window]) -> list[tuple[object, ...]]:
    return [
        (item.number, item.opened_at, item.closed_at, item.rows, item.counts["x"].tolist())
        for item in windows
    ]


@given(
    st.lists(st.integers(0, 10_000_000), min_size=1, max_size=80),
    st.lists(st.integers(1, 79), max_size=5, unique=True),
    st.integers(1, 30),
    st.floats(0, 4),
)
def test_fold_any_batches_same_windows(
    times: list[int], cuts: list[int], rows: int, seconds: float
) -> None:
    predictions, extent = made(times), Extent(rows, seconds)
    ends = sorted({0, len(predictions), *(cut for cut in cuts if cut < len(predictions))})
    batches = [predictions[start:end] for start, end in pairwise(ends)]
    whole = folded([predictions], extent)
    assert plain(folded(batches, extent)) == plain(whole)
    assert sum(item.rows for item in whole) == len(predictions)
    assert [item.number for item in whole] == list(range(len(whole)))
    for item in whole:
        assert all(counts.sum() == item.rows for counts in item.counts.values())
        if item.closed_at is not None:
            assert item.rows >= rows
            assert item.closed_at - item.opened_at >= round(seconds * 1e6)
    assert all(item.closed_at is not None for item in whole[:-1])


def test_baseline_without_profile_counts_rows_only() -> None:
    empty = Baseline(Reference(model="m", version="1", task="regression", profile={}, metrics={}))
    some = made([1, 2, 3])
    [window] = profile.fold(None, 0, some, placed(some, empty), empty, Extent(10, 0.0))
    assert (window.rows, window.counts) == (3, {})
