import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.runtimes.frames import FrameBuilder
from serinus.wire import Field

MIXED = (
    Field("x", "double"),
    Field("n", "long"),
    Field("flag", "boolean"),
    Field("home town", "string"),
)


def test_frame_has_the_manifests_columns_and_types():
    frame = FrameBuilder(MIXED).build([(1.5, 2, True, "Ulm"), (2.5, 3, False, "Bonn")])
    assert list(frame.columns) == ["x", "n", "flag", "home town"]
    assert [kind.kind for kind in frame.dtypes[:3]] == ["f", "i", "b"]
    assert frame["home town"].tolist() == ["Ulm", "Bonn"]


def test_frame_of_missing_values_has_nan_everywhere():
    frame = FrameBuilder(MIXED).build([(None, None, None, None)])
    assert frame.isna().all(axis=None)
    assert frame["n"].dtype == np.float64
    assert "None" not in frame.to_csv()


def test_frame_text_is_what_pandas_reads_from_a_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,home town\n1.0,Ulm\n2.0,\n")
    read = pd.read_csv(path)
    built = FrameBuilder((Field("x", "double"), Field("home town", "string"))).build(
        [(1.0, "Ulm"), (2.0, None)]
    )
    pd.testing.assert_frame_equal(built, read)


@given(st.lists(st.tuples(*[st.none() | st.floats(allow_nan=False)] * 3), min_size=1, max_size=9))
def test_frame_of_numbers_equals_its_array(rows):
    builder = FrameBuilder([Field(name, "double") for name in "abc"])
    assert builder.is_numeric
    expected = np.array([[np.nan if v is None else v for v in row] for row in rows])
    np.testing.assert_array_equal(builder.array(rows), expected)
    np.testing.assert_array_equal(builder.build(rows).to_numpy(), expected)


@pytest.mark.parametrize("kind", ["long", "boolean", "string"])
def test_frame_of_other_types_is_not_numeric(kind):
    assert not FrameBuilder([Field("a", "double"), Field("b", kind)]).is_numeric
