import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tests.serving import samples

from serinus.serving.runtimes import outcomes
from serinus.serving.runtimes.outcomes import ClassIndex
from serinus.wire import Output

SHAPES = st.tuples(st.integers(1, 20), st.integers(2, 5))


@given(arrays.arrays(st.sampled_from([np.float32, np.float64]), SHAPES))
def test_of_scores_is_the_first_of_the_highest_and_never_a_number_that_is_none(scores):
    """Few rows, many rows and two classes each go their own way; all must be one."""
    classes = tuple("abcde"[: scores.shape[1]])
    found = ClassIndex(samples.number_manifest(classes=classes)).of_scores(scores)
    with np.errstate(all="ignore"):
        usable = np.isfinite(scores.astype(float).sum(axis=1))
    for outcome, row, good in zip(found, scores, usable, strict=True):
        if not np.isfinite(row).all():
            assert outcome == outcomes.UNUSABLE
        elif good:
            assert outcome == Output(classes[int(row.argmax())], tuple(row.tolist()))


@given(st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=1, max_size=6))
def test_of_both_never_lets_a_number_that_is_none_pass(scores):
    found = ClassIndex(samples.number_manifest()).of_both([1] * len(scores), np.array(scores))
    for outcome, row in zip(found, scores, strict=True):
        if not np.isfinite(row).all():
            assert outcome == outcomes.UNUSABLE


@pytest.mark.parametrize("given_classes", [[1, 0], [0, 1]])
def test_order_of_the_manifests_classes_among_the_models(given_classes):
    order = ClassIndex(samples.number_manifest()).order(given_classes)
    assert [given_classes[place] for place in order] == [0, 1]
