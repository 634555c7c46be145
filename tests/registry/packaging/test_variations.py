from __future__ import annotations

import math
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from serinus import wire
from serinus.registry.packaging import variations
from serinus.registry.packaging.types import Row

FIELDS = (
    wire.Field("x", "double", required=True),
    wire.Field("gap", "double"),
    wire.Field("n", "long"),
    wire.Field("flag", "boolean", required=True),
    wire.Field("word", "string"),
)
ABOUT = wire.Manifest("m", "regression", FIELDS, "y")
ROWS: list[Row] = [(float(place), 2.5, place, place % 2 == 0, f"w{place}") for place in range(40)]


def test_only_what_may_be_missing_is() -> None:
    found = variations.variations(ABOUT, ROWS)
    missing = {place for row in found for place, value in enumerate(row) if value is None}
    assert missing == {1, 2, 4}
    assert any(row[1] is None and row[2] is None and row[4] is None for row in found)


def test_every_kind_of_value_stays_of_its_kind_and_is_varied() -> None:
    found = variations.variations(ABOUT, ROWS)
    kinds = {float: 0, int: 2, bool: 3, str: 4}
    for kind, place in kinds.items():
        seen = {row[place] for row in found if row[place] is not None}
        assert all(type(value) is kind for value in seen)
        assert len(seen) > 1
    assert "unheard of" in {row[4] for row in found}
    assert max(abs(float(row[0] or 0.0)) for row in found) > 1e38


def test_rows_are_mixed_with_each_other() -> None:
    found = variations.variations(ABOUT, ROWS)
    assert any(row[0] != row[2] and row[4] in {f"w{at}" for at in range(40)} for row in found)


@given(st.floats(0.01, 38.9))
def test_the_number_at_which_an_answer_jumps_is_found_to_the_last_bit(threshold: float) -> None:
    """Of numbers between 0 and 39, whose other inputs tell nothing."""

    def answers(rows: Sequence[Row]) -> list[tuple[float, ...] | None]:
        return [(1.0 if float(row[0] or 0.0) <= threshold else 0.0,) for row in rows]

    pairs = variations.edges(ABOUT, ROWS, answers)
    jumps = [
        (low[0], high[0])
        for low, high in zip(pairs[::2], pairs[1::2], strict=True)
        if answers([low]) != answers([high])
    ]
    assert jumps
    assert set(jumps) == {(threshold, math.nextafter(threshold, math.inf))}


def test_a_model_that_answers_nothing_has_no_edges_to_find() -> None:
    pairs = variations.edges(ABOUT, ROWS, lambda rows: [None] * len(rows))
    assert all(row in {(*row[:2], *row[2:])} for row in pairs)
    assert len(pairs) <= 128


def test_a_model_of_texts_alone_has_no_edges() -> None:
    about = wire.Manifest("m", "regression", FIELDS[4:], "y")
    assert variations.edges(about, [("a",), ("b",)], lambda rows: [(0.0,)] * len(rows)) == []
