"""What is known of a class, and how much a metric of it varies between units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.experiments import contrast, metrics, moments
from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.planning import positives
from serinus.delivery.types import Positives
from serinus.stats import bins
from serinus.stats.class_tallies import Tally

CLASSES = ("fine", "fraud")
TALLY = Tally("fraud", 9_999, true=100, claimed=200, hits=80)


def known(name: str, *tallies: Tally, second: float | None = None) -> Positives:
    found = positives.of(Metric(name, "fraud"), tallies, CLASSES, second)
    assert found is not None
    return found


def test_class_is_taken_from_rows_that_the_champion_did_not_learn_from() -> None:
    recall, precision, f1 = (known(name, TALLY) for name in ("recall", "precision", "f1"))

    assert (recall.true, recall.claimed) == (0.01005, 0.02005)
    assert recall.rate == pytest.approx(0.8, abs=0.01)
    assert precision.rate == pytest.approx(0.4, abs=0.01)
    assert f1.rate == pytest.approx(2 * 80 / 300, abs=0.01)
    assert {item.known for item in (recall, precision, f1)} == {"test"}


def test_class_that_never_came_is_rare_and_never_impossible() -> None:
    none = known("recall", Tally("fraud", 999, 0, 0, 0))

    assert (none.true, none.rate) == (0.0005, 0.5)


def test_without_tallies_answers_are_all_that_is_known() -> None:
    assert known("recall", second=0.03) == Positives(0.03, 0.03, 0.5, "answers")
    fine = positives.of(Metric("recall", "fine"), (), CLASSES, 0.03)
    assert fine == Positives(0.97, 0.97, 0.5, "answers")


@pytest.mark.parametrize("second", [None, 0.0])
def test_without_anything_a_class_is_rare(second: float | None) -> None:
    assert known("recall", second=second) == Positives(0.01, 0.01, 0.5, "nothing")
    three = positives.of(Metric("recall", "b"), (), ("a", "b", "c"), 0.5)
    assert three == Positives(0.01, 0.01, 0.5, "nothing")


def test_unknown_rate_is_the_one_that_varies_most() -> None:
    for name in ("recall", "precision", "f1"):
        found = known(name)
        widest = positives.variance(name, found.rate, found)
        assert all(
            positives.variance(name, rate, found) <= widest * (1 + 1e-9)
            for rate in np.linspace(0.01, 0.99, 99)
        )


def test_other_metrics_ask_about_no_class() -> None:
    assert positives.of(Metric("accuracy"), (TALLY,), CLASSES, 0.1) is None


def test_claims_of_the_second_class_are_its_scores_above_a_half() -> None:
    scores = np.concatenate([np.linspace(0.0, 0.49, 900), np.linspace(0.51, 1.0, 100)])
    found = positives.second_claimed(bins.reference_profile({}, scores))

    assert found == pytest.approx(0.1, abs=0.02)
    assert positives.second_claimed(bins.reference_profile({}, 10 * scores)) is None
    assert positives.second_claimed({}) is None


@given(
    st.sampled_from(["recall", "precision", "f1"]),
    st.tuples(*[st.integers(5, 200)] * 3, st.integers(10, 9_000)),
)  # fmt: skip
def test_variance_is_the_one_that_the_report_estimates(
    name: str, counts: tuple[int, int, int, int]
) -> None:
    """Of units drawn just so: true and claimed, claimed only, true only, neither."""
    pairs = [("fraud", "fraud"), ("fraud", "fine"), ("fine", "fraud"), ("fine", "fine")]
    metric = metrics.parse(f"{name}:fraud", "classification", CLASSES)
    parts = np.array([metric.parts(*pair) for pair in pairs])
    y, n = np.repeat(parts, counts, axis=0).T
    seen = contrast.mean(moments.total(y, n))
    units, hits = sum(counts), counts[0]
    true, claimed = hits + counts[2], hits + counts[1]
    found = Positives(true / units, claimed / units, float(seen.value), "test")

    telling = n.sum() ** 2 / (n**2).sum()
    wide = positives.variance(name, found.rate, found) * telling / (telling - 1)
    assert float(seen.deviation) == pytest.approx(np.sqrt(wide), rel=1e-6)
    says = float(((y != 0) | (n != 0)).mean())
    assert positives.informative(name, found) == pytest.approx(says)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.02, "as only 2 % are claimed to be of this class and the others say nothing of it"),
        (0.64, "as only 64 % are claimed to be of this class and the others say nothing of it"),
        (1.0, ""),
    ],
)
def test_reason_names_who_says_anything(share: float, words: str) -> None:
    assert positives.words("precision", Positives(0.5, share, 0.5, "test")) == words


def test_reason_says_what_is_taken_for_granted() -> None:
    assert positives.words("recall", known("recall")) == (
        "taking it that 1 % are of this class, as nobody knows how many are"
    )
