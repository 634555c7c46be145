"""Evidence merges like counts do, and is the same bytes whatever the order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import Cell, Evidence, Measure
from serinus.delivery.types import QualityScale
from serinus.wire import Arm

CELLS = st.builds(
    Cell,
    st.sampled_from([Measure.ERROR, Measure.LOSS]),
    st.sampled_from([0.05, 0.25, 0.5]),
    st.sampled_from([Arm.CHAMPION, Arm.CHALLENGER]),
    st.integers(0, 1),
)
CLASSES = QualityScale("classification", 1.0, 0.1)
NUMBERS = QualityScale("regression", 10.0, 0.2)


@given(cells=st.lists(CELLS), cut=st.integers(0, 50), seed=st.randoms())
def test_evidence_does_not_depend_on_order_or_sharding(
    cells: list[Cell], cut: int, seed: object
) -> None:
    whole = ev.count(cells)
    shuffled = list(cells)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = ev.count(shuffled[cut:]) + ev.count(shuffled[:cut])
    assert parts.encode() == whole.encode()
    assert parts.digest() == whole.digest()
    assert ev.decode(whole.encode()) == whole


@given(cells=st.lists(CELLS))
def test_evidence_keeps_every_observation(cells: list[Cell]) -> None:
    evidence = ev.count(cells)
    for measure in (Measure.ERROR, Measure.LOSS):
        expected = sum(cell.measure is measure for cell in cells)
        assert evidence.total(measure) == expected
        tables = evidence.by_arm(measure, 2).values()
        assert sum(int(table.sum()) for table in tables) == expected


def test_evidence_coverage_counts_labels_that_never_came() -> None:
    evidence = Evidence(
        {
            Cell(Measure.MATURED, 0.0, Arm.CHAMPION, 1): 9,
            Cell(Measure.MATURED, 0.0, Arm.CHAMPION, 0): 1,
        }
    )
    assert evidence.coverage(Arm.CHAMPION) == pytest.approx(0.9)
    assert evidence.coverage(Arm.CHALLENGER) is None


def test_evidence_pairs_are_laid_out_by_difference() -> None:
    evidence = Evidence(
        {
            Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, -1): 2,
            Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, 1): 5,
        }
    )
    np.testing.assert_array_equal(evidence.pairs(Measure.PAIR_ERROR, 1), [2, 0, 5])


@pytest.mark.parametrize(
    ("scale", "answer", "truth", "level"),
    [
        (CLASSES, 1, 1, 0),
        (CLASSES, 1, "1", 0),
        (CLASSES, "benign", "malign", 32),
        (CLASSES, None, 1, 32),
        (NUMBERS, 5.0, 5.0, 0),
        (NUMBERS, 5.0, 10.0, 16),
        (NUMBERS, 5.0, 500.0, 32),
        (NUMBERS, float("nan"), 5.0, 32),
    ],
)
def test_loss_level_scores_an_answer(
    scale: QualityScale, answer: float | str | None, truth: float | str, level: int
) -> None:
    assert ev.loss_level(scale, answer, truth) == level
