"""What a report comes to, in sentences."""

from __future__ import annotations

import msgspec

from serinus.delivery.shadows import wording
from serinus.delivery.shadows.types import Differing, Failures, Interval, Labelled, Segment, Shift

NONE = Failures(0, 0, 0)
PLAIN = Differing(1_000, 60, 0.06, 0.0, 0, None, Interval(0.06, 0.04, 0.08))
NOISY = msgspec.structs.replace(PLAIN, cloned=500, noise=0.02, excess=Interval(0.04, 0.01, 0.07))
SAME = msgspec.structs.replace(NOISY, noise=0.06, excess=Interval(0.0, -0.02, 0.02))
RIGHT = Labelled(900, 0.1, 0.06, Interval(-0.04, -0.06, -0.02), 50, 10, 0.01, 4_000.0)
SEGMENT = Segment("amount", "90 to 100", 120, 60, 0.5, 1e6, proven=True)


def said(
    differing: Differing = PLAIN,
    *,
    failures: Failures = NONE,
    shift: Shift | None = None,
    labelled: Labelled | None = None,
    segments: tuple[Segment, ...] = (),
) -> str:
    return wording.conclusion(1_000, failures, differing, shift, labelled, segments)


def test_conclusion_of_nothing_says_so() -> None:
    found = wording.conclusion(0, NONE, PLAIN, None, None, ())
    assert found == "No request has been answered by both versions yet."


def test_conclusion_tells_what_is_beyond_noise() -> None:
    assert said() == "The two answer 6.00% of the same 1,000 requests otherwise."
    assert said(NOISY) == (
        "The two answer 6.00% of the same 1,000 requests otherwise, 4.00 points more than the "
        "champion differs from itself (1.00 to 7.00)."
    )
    assert said(SAME) == (
        "The two answer 6.00% of the same 1,000 requests otherwise; the champion, asked twice, "
        "differs from itself on 6.00%: noise."
    )


def test_conclusion_tells_who_was_right_and_where() -> None:
    told = said(failures=Failures(3, 7, 1), labelled=RIGHT, segments=(SEGMENT,))
    assert told.endswith(
        "The challenger failed 7 of 1,000 requests, the champion 3. Of 900 labels 60 tell them "
        "apart: the challenger was the better 50 times, the champion 10 times, so the challenger "
        "is better. They differ most where amount is 90 to 100: on 50.0% of 120 requests."
    )
    turned = msgspec.structs.replace(RIGHT, odds_worse=4_000.0, odds_better=0.01)
    assert "so the challenger is worse." in said(labelled=turned)
    neither = msgspec.structs.replace(RIGHT, odds_better=3.0)
    assert "which proves neither." in said(labelled=neither)
    unproven = msgspec.structs.replace(SEGMENT, proven=False)
    assert said(segments=(unproven,)).endswith("is proven to differ more than the rest.")


def test_conclusion_of_numbers_tells_how_far_they_moved() -> None:
    numbers = msgspec.structs.replace(PLAIN, same_within=2.0)
    shift = Shift(1_000, Interval(-1.25, -2.0, -0.5), {}, ())
    assert said(numbers, shift=shift) == (
        "The two answer 6.00% of the same 1,000 requests further apart than 2. The challenger's "
        "answers are 1.25 lower on average."
    )


def test_conclusion_where_nothing_was_compared() -> None:
    none = msgspec.structs.replace(PLAIN, compared=0, flips=0, rate=0.0)
    assert said(none) == "Of 1,000 requests none was answered by both."
