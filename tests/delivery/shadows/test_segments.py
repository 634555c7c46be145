"""Where flips crowd."""

from __future__ import annotations

import numpy as np

from serinus.delivery.shadows.segments import MOST_BINS, MOST_CATEGORIES, Segments
from serinus.stats import bins

NAMES = ("amount", "country", "constant")


def rows(rng: np.random.Generator, n: int) -> list[tuple[float, str, int]]:
    amounts = rng.uniform(0, 100, n).tolist()
    countries = rng.choice(["de", "fr", "at"], n).tolist()
    return list(zip(amounts, countries, [1] * n, strict=True))


def reference() -> dict[str, dict[str, object]]:
    known = bins.numeric_bins(np.linspace(0, 100, 1_000))
    return {"amount": {"bins": bins.to_dict(known)}}


def test_found_names_the_segment_in_which_they_differ() -> None:
    rng = np.random.default_rng(1)
    seen = Segments(reference())
    for _ in range(5):
        given = rows(rng, 1_000)
        differs = np.array([row[0] > 88 and rng.random() < 0.8 for row in given])
        seen.add(NAMES, given, differs | (rng.random(1_000) < 0.01))
    tested, found = seen.found()
    assert found[0].feature == "amount"
    assert found[0].rate > 0.5
    assert found[0].proven
    assert not any(item.proven for item in found if item.feature == "country")
    # What all pairs have in common is no segment.
    assert {item.feature for item in found} == {"amount", "country"}
    amounts = [item for item in found if item.feature == "amount"]
    assert len(amounts) <= MOST_BINS
    assert (
        sum(item.pairs for item in amounts)
        == sum(item.pairs for item in found if item.feature == "country")
        == seen.pairs
        == 5_000
    )
    assert tested == len(found)


def test_found_proves_nothing_where_flips_are_everywhere() -> None:
    rng = np.random.default_rng(2)
    proven = 0
    for _ in range(100):
        seen = Segments(reference())
        seen.add(NAMES, rows(rng, 500), rng.random(500) < 0.2)
        proven += any(item.proven for item in seen.found()[1])
    assert proven <= 5


def test_add_takes_rare_categories_together_and_whatever_comes() -> None:
    seen = Segments({})
    values = [(f"c{number % 40}", None, True) for number in range(400)]
    seen.add(("word", "missing", "flag"), values, np.arange(400) % 7 == 0)
    seen.add(("word", "missing", "flag"), [("new", 3.5, "text")], np.array([True]))
    _, found = seen.found()
    assert len([item for item in found if item.feature == "word"]) <= MOST_CATEGORIES + 2
    assert {item.bin for item in found if item.feature == "word"} >= {"other known", "unseen"}


def test_found_of_nothing_is_nothing() -> None:
    assert Segments({}).found() == (0, ())
