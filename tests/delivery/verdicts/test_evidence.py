"""Evidence merges like counts do, and is the same bytes whatever the order."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import table

from serinus.delivery.types import QualityScale, ValueScale
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import EMPTY, Evidence, Measure, Sight
from serinus.wire import Arm

SIGHTS = st.builds(
    Sight,
    st.sampled_from([Measure.ERROR, Measure.LOSS]),
    st.sampled_from([0.05, 0.25, 0.5]),
    st.sampled_from([Arm.CHAMPION, Arm.CHALLENGER]),
    st.integers(0, 32),
)
CLASSES = QualityScale("classification", 1.0, 0.1)
NUMBERS = QualityScale("regression", 10.0, 0.2)
WORTH = ValueScale(-5.0, 15.0, 0.3)


@given(sights=st.lists(SIGHTS), cuts=st.tuples(st.integers(0, 50), st.integers(0, 50)), how=...)
def test_evidence_does_not_depend_on_order_or_sharding(
    sights: list[Sight], cuts: tuple[int, int], how: Random
) -> None:
    whole = ev.count(sights)
    shuffled = list(sights)
    how.shuffle(shuffled)
    low, high = sorted(cuts)
    one, two, three = (
        ev.count(part) for part in (shuffled[:low], shuffled[low:high], shuffled[high:])
    )
    for parts in ((one + two) + three, three + (two + one), (two + EMPTY) + (three + one)):
        assert parts.encode() == whole.encode()
        assert parts.digest() == whole.digest()
        assert parts == whole
        assert hash(parts) == hash(whole)
    assert ev.decode(whole.encode()) == whole
    assert ev.decode(whole.encode()).encode() == whole.encode()


@given(sights=st.lists(SIGHTS))
def test_evidence_keeps_every_observation(sights: list[Sight]) -> None:
    evidence = ev.count(sights)
    for measure in (Measure.ERROR, Measure.LOSS):
        expected = sum(sight.measure is measure for sight in sights)
        assert evidence.total(measure) == expected
        assert ev.pooled(evidence.tables, measure, 33).sum() == expected
        tables = ev.shaped(evidence.tables, measure, 33).values()
        assert sum(int(counts.sum()) for counts in tables) == expected
        for arm, row in ((Arm.CHAMPION, 0), (Arm.CHALLENGER, 1)):
            seen = [s for s in sights if s.measure is measure and s.arm is arm]
            assert evidence.total(measure, arm) == len(seen)
            for level in (0, 32):
                assert evidence.total(measure, arm, level) == sum(s.level == level for s in seen)
                counts = ev.pooled(evidence.tables, measure, 33)[row, level]
                assert counts == evidence.total(measure, arm, level)


def test_evidence_sum_leaves_its_parts_alone() -> None:
    one = table(Measure.ERROR, 0.5, champion=[3], challenger=[4])
    other = table(Measure.ERROR, 0.5, champion=[1, 2], challenger=[0, 5])
    before = one.encode(), other.encode()
    total = one + other
    np.testing.assert_array_equal(total.tables[Measure.ERROR][0.5], [[4, 2], [4, 5]])
    assert (one.encode(), other.encode()) == before


def test_evidence_of_no_counts_is_no_evidence() -> None:
    nothing = Evidence({Measure.ERROR: {0.5: np.zeros((2, 2), np.int64)}})
    assert nothing == EMPTY
    assert nothing.digest() == EMPTY.digest()
    assert ev.decode(nothing.encode()) == EMPTY


def test_evidence_is_of_one_size_whatever_was_counted() -> None:
    """All measures at their full width, at four shares: 8 KB a guardrail, at any count."""
    widths = dict.fromkeys(Measure, 6) | {
        Measure.ERROR: 2,
        Measure.SCORE: ev.SCORE_BINS,
        Measure.CLASS: ev.MOST_CLASSES,
        Measure.LOSS: len(ev.LOSS_LEVELS),
        Measure.VALUE: len(ev.LOSS_LEVELS),
        Measure.PAIR_LOSS: len(ev.LOSS_DIFFERENCES),
    }
    for measure, wide in widths.items():
        sizes = []
        for each in (10**3, 10**9):
            counts = np.full((2, wide), each, np.int64)
            evidence = Evidence({measure: dict.fromkeys((0.05, 0.25, 0.5, 1.0), counts)})
            arrays = evidence.tables[measure].values()
            sizes.append((sum(found.nbytes for found in arrays), len(evidence.encode())))
        (memory, few), (memory_of_many, many) = sizes
        assert memory == memory_of_many
        assert memory <= 8192
        # Stored, a count takes three bytes or five: the digits are all that grows.
        assert few <= many <= min(8192, few * 5 / 3)


def test_evidence_coverage_counts_labels_that_never_came() -> None:
    evidence = table(Measure.MATURED, champion=[1, 9])
    assert evidence.coverage(Arm.CHAMPION) == pytest.approx(0.9)
    assert evidence.coverage(Arm.CHALLENGER) is None
    pairs = table(Measure.PAIR_MATURED, challenger=[3, 1])
    assert (evidence + pairs).coverage(Arm.SHADOW) == pytest.approx(0.25)
    assert (evidence + pairs).coverage(Arm.CHALLENGER) is None


def test_pooled_pairs_are_laid_out_by_difference() -> None:
    evidence = ev.count(
        [Sight(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, 0)] * 2
        + [Sight(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, 2)] * 5
    )
    counts = ev.pooled(evidence.tables, Measure.PAIR_ERROR, 3)
    np.testing.assert_array_equal(counts, [[0, 0, 0], [2, 0, 5]])
    assert counts[1] @ ev.FAILURE_DIFFERENCES == 3


def test_shaped_widens_and_cuts_any_leading_axes() -> None:
    tables = {Measure.ERROR: {0.5: np.ones((4, 3, 2, 5), np.int64)}}
    assert ev.shaped(tables, Measure.ERROR, 2)[0.5].shape == (4, 3, 2, 2)
    wide = ev.shaped(tables, Measure.ERROR, 7)[0.5]
    assert wide.shape == (4, 3, 2, 7)
    assert wide.sum() == 4 * 3 * 2 * 5
    assert ev.shaped(tables, Measure.LOSS, 7) == {}


@pytest.mark.parametrize(
    ("scale", "answer", "truth", "level"),
    [
        (CLASSES, 1, 1, 0),
        (CLASSES, 1, "1", 0),
        (CLASSES, "benign", "malign", 32),
        (CLASSES, None, 1, 32),
        (CLASSES, float("nan"), 1, 32),
        (NUMBERS, 5.0, 5.0, 0),
        (NUMBERS, 5.0, 10.0, 16),
        (NUMBERS, 5.0, 500.0, 32),
        (NUMBERS, float("nan"), 5.0, 32),
        (NUMBERS, 5.0, float("nan"), 32),
        (NUMBERS, float("inf"), 5.0, 32),
        (NUMBERS, float("inf"), float("inf"), 32),
        (NUMBERS, float("-inf"), float("inf"), 32),
        (NUMBERS, 1.7e308, -1.7e308, 32),
        (NUMBERS, "no number", 5.0, 32),
        (NUMBERS, 5.0, "no number", 32),
        (NUMBERS, "7.5", 5.0, 8),
    ],
)
def test_loss_level_scores_an_answer(
    scale: QualityScale, answer: float | str | None, truth: float | str, level: int
) -> None:
    assert ev.loss_level(scale, answer, truth) == level


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (-5.0, 0),
        (5.0, 16),
        (15.0, 32),
        (-1e300, 0),
        (1e300, 32),
        (float("inf"), 32),
        (float("-inf"), 0),
        # What is no number is worth as much as what was never told.
        (float("nan"), 8),
        (0.0, 8),
    ],
)
def test_value_level_clips_to_the_scale(value: float, level: int) -> None:
    assert ev.value_level(WORTH, value) == level
