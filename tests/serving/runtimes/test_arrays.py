import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.runtimes.arrays import MISSING_TEXT, Splitter, numbers_of
from serinus.wire import Field

MIXED = (
    Field("home town", "string"),
    Field("x", "double"),
    Field("flag", "boolean"),
    Field("n", "long"),
)


def test_numbers_of_rows_with_gaps_and_flags():
    built = numbers_of([(1.5, None, True), (2, -0.0, False)])
    np.testing.assert_array_equal(built, [[1.5, np.nan, 1.0], [2.0, 0.0, 0.0]])
    assert built.dtype == np.float64


@given(st.lists(st.tuples(st.text(), st.floats(), st.booleans()), min_size=1, max_size=5))
def test_splitter_keeps_every_value_in_its_place(rows):
    split = Splitter(MIXED[:3])
    np.testing.assert_array_equal(split.numbers(rows), [row[1:] for row in rows])
    assert split.texts(rows).tolist() == [[row[0]] for row in rows]


def test_splitter_marks_missing_texts():
    split = Splitter((*MIXED, Field("street", "string")))
    texts = split.texts([("Ulm", 1.0, True, 2, None), (None, 1.0, True, 2, "Weg")])
    assert texts.tolist() == [["Ulm", MISSING_TEXT], [MISSING_TEXT, "Weg"]]
    assert split.numbers([("Ulm", None, True, 2, None)]).shape == (1, 3)


@pytest.mark.parametrize("kind", ["double", "string"])
def test_splitter_of_one_kind_alone(kind):
    split = Splitter([Field("only", kind)])
    assert (split.has_texts, split.has_numbers) == (kind == "string", kind != "string")
