from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serinus.monitoring import cells
from serinus.monitoring.cells import Baseline
from serinus.monitoring.types import OUTPUT, Reference
from serinus.stats import bins
from serinus.wire import Arm, Assignment, Output, Prediction

BASELINE = Baseline(
    Reference(
        model="m",
        version="1",
        task="regression",
        profile=bins.reference_profile(
            {"x": np.arange(100.0), "town": ["Ulm", "Bonn", "Ulm", None] * 25}, np.arange(50.0)
        ),
        metrics={},
    )
)


def prediction(*features: Any, value: float = 1.0) -> Prediction:
    return Prediction(7, Assignment("m", Arm.CHAMPION, 0.0, 1), "1", features, Output(value), 10)


values = st.none() | st.floats() | st.integers(-1_000, 1_000)
towns = st.none() | st.sampled_from(["Ulm", "Bonn", "Rom", ""])
rows = st.lists(st.tuples(values, towns) | st.just(()), max_size=40)


@given(rows, st.integers(0, 40))
def test_cells_are_those_of_each_column_alone_and_add_up(
    features: list[tuple[Any, ...]], cut: int
) -> None:
    made = [prediction(*some, value=place) for place, some in enumerate(features)]
    placed = cells.placed(made, BASELINE)
    found = cells.by_column(cells.counted(placed, BASELINE), BASELINE)
    whole = [some for some in features if some]
    for number, name in enumerate(("x", "town")):
        alone = bins.count(BASELINE.bins[name], [some[number] for some in whole])
        assert found[name].tolist() == alone.tolist()
    assert found[OUTPUT].sum() == len(features)
    parts = [cells.counted(part, BASELINE) for part in (placed[:cut], placed[cut:])]
    assert sum(parts).tolist() == cells.counted(placed, BASELINE).tolist()


def test_slices_are_all_cells_one_after_the_other() -> None:
    ends = [part.stop for part in BASELINE.slices.values()]
    assert [part.start for part in BASELINE.slices.values()] == [0, *ends[:-1]]
    assert ends[-1] == BASELINE.width


def test_a_baseline_without_a_profile_has_no_cells() -> None:
    reference = Reference(model="m", version="1", task="regression", profile={}, metrics={})
    empty = Baseline(reference)
    placed = cells.placed([prediction(1.0)], empty)
    assert cells.counted(placed, empty).tolist() == []


def test_answer_number_is_one_for_each_kind() -> None:
    assert cells.answer_number(Output(2.5), "regression") == 2.5
    assert cells.answer_number(Output("b", (0.2, 0.8)), "classification") == 0.8
    assert cells.answer_number(Output("a", (0.5, 0.2, 0.3)), "classification") == 0.5
    assert cells.answer_number(Output("a"), "classification") is None
    assert OUTPUT in BASELINE.bins
