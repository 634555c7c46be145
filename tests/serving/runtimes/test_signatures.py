import warnings

import numpy as np
import pandas as pd

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from serinus.serving.runtimes.signatures import Shaper

FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, np.nan]})


class Model:
    """As MLflow's wrapper tells its signature."""

    def __init__(self, schema):
        self.metadata = self
        self._schema = schema

    def get_input_schema(self):
        return self._schema


def test_shape_without_a_signature_is_the_frame():
    assert Shaper(object()).shape(FRAME) is FRAME
    assert Shaper(Model(None)).shape(FRAME) is FRAME


def test_shape_narrows_only_what_the_signature_has_narrow():
    specs = [ColSpec(DataType.integer, "a"), ColSpec(DataType.float, "b")]
    assert [str(kind) for kind in Shaper(Model(Schema(specs))).shape(FRAME).dtypes] == [
        "int32",
        "float32",
    ]
    wide = Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.double, "b")])
    assert Shaper(Model(wide)).shape(FRAME) is FRAME


def test_shape_of_a_tensor_is_an_array_under_its_name():
    plain = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    named = Schema([TensorSpec(np.dtype("float32"), (-1, 2), "rows")])
    array = Shaper(Model(plain)).shape(FRAME)
    assert (array.dtype, array.shape) == (np.float32, (2, 2))
    np.testing.assert_array_equal(Shaper(Model(named)).shape(FRAME)["rows"], array)
