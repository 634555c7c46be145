"""What pairs add up to."""

from __future__ import annotations

import numpy as np
import pytest
from tests.delivery import samples
from tests.delivery.samples import NUMBERS

from serinus.delivery.shadows.comparison import MOST_CLASSES, MOST_MOVERS, OTHERS, Comparison
from serinus.delivery.shadows.joining import Compared, Joined
from serinus.delivery.shadows.segments import Segments
from serinus.delivery.verdicts.evidence import SOAK
from serinus.delivery.verdicts.pairs import BEFORE, Pair
from serinus.wire import Answer, Output


def comparison(*, numbers: bool = False) -> Comparison:
    plan = samples.full_plan(NUMBERS) if numbers else samples.full_plan()
    return Comparison(plan, (("amount",), ("amount",)), Segments({}))


def pair(
    champion: Answer | None,
    challenger: Answer | None,
    *,
    scores: tuple[float, float] = (0.0, 0.0),
    share: float = BEFORE,
    name: bytes = b"p",
) -> Compared:
    told = [
        None if value is None else Output(value, (1 - score, score) if score else ())
        for value, score in zip((champion, challenger), scores, strict=True)
    ]
    differs = None if champion is None or challenger is None else champion != challenger
    return Compared(name, 1_000, Pair(*told, share), differs, 2_000, (1.5,), 4_000)


def test_failures_and_flips_are_counted_apart() -> None:
    seen = comparison()
    seen.add(Joined([pair(0, 0), pair(0, 1), pair(None, 1), pair(0, None), pair(None, None)]))
    failures = seen.failures()
    assert (failures.champion, failures.challenger, failures.both) == (2, 2, 1)
    differing = seen.differing()
    assert (differing.compared, differing.flips, differing.rate) == (2, 1, 0.5)
    assert differing.noise is None
    assert differing.excess.low is not None
    assert 0.0 <= differing.excess.low < 0.5


def test_differing_lies_beyond_the_champions_own_noise() -> None:
    seen = comparison()
    clones = [(False, False)] * 900 + [(False, True)] * 20 + [(True, False)] * 70
    seen.add(Joined([pair(0, 1)], clones=[*clones, *[(True, True)] * 10]))
    found = seen.differing()
    assert found.cloned == 1_000
    assert found.noise == pytest.approx(0.03)
    assert found.excess.value == pytest.approx(0.05)
    assert found.excess.low is not None
    assert found.excess.high is not None
    assert 0.0 < found.excess.low < 0.05 < found.excess.high < 0.1


def test_shift_has_quantiles_and_the_largest_movers() -> None:
    seen = comparison()
    moved = np.linspace(0.01, 0.4, 50)
    for start in (0, 25):
        seen.add(
            Joined(
                [
                    pair(0, 0, scores=(0.5, 0.5 + by), name=bytes([start + place]))
                    for place, by in enumerate(moved[start : start + 25].tolist())
                ]
            )
        )
    found = seen.shift()
    assert found is not None
    assert found.compared == 50
    assert found.mean.value == pytest.approx(moved.mean())
    assert found.quantiles["p50"] == pytest.approx(np.median(moved))
    assert [one.prediction for one in found.movers] == [f"{n:02x}" for n in range(49, 39, -1)]
    assert len(found.movers) == MOST_MOVERS


def test_shift_of_words_is_none() -> None:
    seen = comparison()
    seen.add(Joined([pair("a", "b")]))
    assert seen.shift() is None


def test_confusion_shows_the_commonest_classes() -> None:
    seen = comparison()
    seen.add(Joined([pair("yes", "no")] * 5 + [pair("no", "no")] * 3))
    seen.add(Joined([pair(f"c{n}", f"c{n}") for n in range(100)]))
    found = seen.confusion()
    assert found is not None
    assert len(found.classes) == MOST_CLASSES + 1
    assert found.classes[-1] == OTHERS
    assert sum(map(sum, found.counts)) == 108
    yes, no = found.classes.index("yes"), found.classes.index("no")
    assert (found.counts[yes][no], found.counts[no][no]) == (5, 3)


def test_labelled_says_who_was_right() -> None:
    seen = comparison()
    assert seen.labelled() is None
    seen.add(Joined(labels=[(0, 1, 1)] * 30 + [(0, 1, 0)] * 5 + [(0, 0, 0)] * 65))
    found = seen.labelled()
    assert found is not None
    assert (found.labels, found.challenger_better, found.champion_better) == (100, 30, 5)
    assert (found.champion_loss, found.challenger_loss) == (0.3, 0.05)
    assert found.excess.value == pytest.approx(-0.25)
    assert found.odds_better > 100
    assert found.odds_worse < 1


def test_numbers_are_compared_by_distance() -> None:
    seen = comparison(numbers=True)
    seen.add(Joined([pair(5.0, 5.5), pair(5.0, 9.0)], labels=[(5.0, 9.0, 5.0)] * 40))
    assert seen.confusion() is None
    assert seen.differing().same_within == 2.0
    shift, labelled = seen.shift(), seen.labelled()
    assert shift is not None
    assert labelled is not None
    assert shift.mean.value == pytest.approx(2.25)
    assert labelled.champion_better == 40
    assert labelled.odds_worse > 20


def test_latencies_are_turned_in_the_soak() -> None:
    seen = comparison()
    assert seen.latencies() == (None, None)
    seen.add(Joined([pair(0, 0)] * 3))
    champion, challenger = seen.latencies()
    assert champion is not None
    assert challenger is not None
    assert (champion.p50, challenger.p50) == (4.0, 2.0)
    seen = comparison()
    seen.add(Joined([pair(0, 0, share=SOAK)]))
    champion, challenger = seen.latencies()
    assert champion is not None
    assert challenger is not None
    assert (champion.p50, challenger.p50, seen.soak) == (2.0, 4.0, 1)
