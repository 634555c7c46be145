"""What is known of a class, and how much a metric of it varies between units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.experiments import contrast, metrics, moments
from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.planning import positives
from serinus.delivery.planning.positives import Share
from serinus.delivery.types import Positives
from serinus.stats import bins
from serinus.stats.class_tallies import Tally

CLASSES = ("fine", "fraud")
TALLY = Tally("fraud", 9_999, true=100, claimed=200, hits=80)


def known(name: str, *tallies: Tally, second: Share | None = None) -> Positives:
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
    never = Tally("fraud", 999, 0, 0, 0)

    assert (known("recall", never).true, known("recall", never).rate) == (0.0005, 0.5)
    assert positives.unseen(Metric("recall", "fraud"), (never,)) == never
    highest = positives.at_most("recall", never)
    assert highest.true == pytest.approx(3 / 999)


@pytest.mark.parametrize(
    ("metric", "tally", "is_unseen"),
    [
        ("recall", Tally("fraud", 999, 0, 9, 0), True),
        ("recall", Tally("fraud", 999, 1, 0, 0), False),
        ("precision", Tally("fraud", 999, 9, 0, 0), True),
        ("f1", Tally("fraud", 999, 9, 0, 0), False),
        ("f1", Tally("fraud", 999, 0, 0, 0), True),
        ("recall", Tally("other", 999, 0, 0, 0), False),
    ],
    ids=["never_true", "true_once", "never_claimed", "true", "neither", "other"],
)
def test_class_is_unseen_where_no_row_says_anything_of_its_metric(
    metric: str, tally: Tally, is_unseen: bool
) -> None:
    assert (positives.unseen(Metric(metric, "fraud"), (tally,)) is not None) is is_unseen


def test_few_rows_without_a_class_say_nothing_of_it() -> None:
    few = Tally("fraud", 300, 0, 0, 0)

    assert positives.unseen(Metric("recall", "fraud"), (few,)) is None
    assert known("recall", few) == known("recall")
    assert known("recall", few, second=Share(0.03, 0.03)).known == "answers"


def test_without_tallies_answers_are_all_that_is_known() -> None:
    second = Share(0.02, 0.04)

    assert known("recall", second=second) == Positives(0.03, 0.03, 0.5, "answers")
    fine = positives.of(Metric("recall", "fine"), (), CLASSES, second)
    assert fine == Positives(0.97, 0.97, 0.5, "answers")


def test_share_of_answers_that_may_be_anything_is_none() -> None:
    """Yet of the other class the same answers tell enough."""
    second = Share(0.0, 0.03)

    assert known("recall", second=second) == known("recall")
    fine = positives.of(Metric("recall", "fine"), (), CLASSES, second)
    assert fine == Positives(0.985, 0.985, 0.5, "answers")


@pytest.mark.parametrize("second", [None, Share(0.0, 0.0)])
def test_without_anything_a_class_is_rare(second: Share | None) -> None:
    assert known("recall", second=second) == Positives(0.01, 0.01, 0.5, "nothing")
    three = positives.of(Metric("recall", "b"), (), ("a", "b", "c"), Share(0.5, 0.5))
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

    assert found is not None
    assert found.least <= 0.1 <= found.most
    assert found.is_known
    assert positives.second_claimed(bins.reference_profile({}, 10 * scores)) is None
    assert positives.second_claimed({}) is None


@pytest.mark.parametrize(
    ("shape", "is_known"),
    [((1, 9), False), ((1, 20), False), ((9, 1), False), ((2, 5), True), ((1, 1), True)],
    ids=["rare", "rarer", "usual", "seldom", "half"],
)
def test_claims_within_a_wide_bin_are_not_made_up(shape: tuple[int, int], is_known: bool) -> None:
    """Beta(1, 9) claims 0.2 %; drawing a line through its last bin made 1.6 % of it."""
    scores = np.random.default_rng(3).beta(*shape, 5_000)
    found = positives.second_claimed(bins.reference_profile({}, scores))

    assert found is not None
    assert found.least <= (scores > 0.5).mean() <= found.most
    assert (found.is_known and found.rest.is_known) is is_known


@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.500001, 0.7, 1.0]) | st.floats(0, 1), min_size=1))
def test_claims_lie_between_what_the_bins_allow(scores: list[float]) -> None:
    found = positives.second_claimed(bins.reference_profile({}, np.array(scores)))

    assert found is not None
    claimed = float((np.array(scores) > 0.5).mean())
    assert found.least - 1e-12 <= claimed <= found.most + 1e-12


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
