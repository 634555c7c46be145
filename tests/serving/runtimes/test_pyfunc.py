import warnings

import numpy as np
import pandas as pd
import pytest
from tests.serving import samples

from serinus.errors import InvalidInput
from serinus.serving.runtimes import outcomes
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.pyfunc import PyfuncRuntime
from serinus.wire import Output

ROWS = [tuple(row) for row in samples.number_rows(3, 1).tolist()]


class Saying:
    """A model that gives what it was made with."""

    def __init__(self, given):
        self._given = given

    def predict(self, _rows):
        return self._given


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1.5, float("nan"), float("inf")], [Output(1.5), outcomes.UNUSABLE, outcomes.UNUSABLE]),
        (np.array([[1.0], [2.0], [3.0]]), [Output(1.0), Output(2.0), Output(3.0)]),
    ],
)
def test_runtime_numbers_that_are_none_are_unusable(given, expected):
    manifest = samples.number_manifest(task="regression", classes=())
    for kind in (SklearnRuntime, PyfuncRuntime):
        assert kind(Saying(given), manifest).answer(ROWS) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 1, 7], [Output(0), Output(1), outcomes.UNUSABLE]),
        (np.array([1.0, np.nan, 0.0]), [Output(1), outcomes.UNUSABLE, Output(0)]),
        (
            np.array([[0.2, 0.8], [0.6, 0.4], [np.nan, 0.5]]),
            [Output(1, (0.2, 0.8)), Output(0, (0.6, 0.4)), outcomes.UNUSABLE],
        ),
    ],
)
def test_pyfunc_runtime_understands_classes_and_scores(given, expected):
    assert PyfuncRuntime(Saying(given), samples.number_manifest()).answer(ROWS) == expected


@pytest.mark.parametrize("given", ["text", np.zeros((3, 4, 5)), None])
def test_runtime_output_of_no_sense_raises(given):
    manifest = samples.number_manifest(task="regression", classes=())
    with pytest.raises((InvalidInput, ValueError)):
        PyfuncRuntime(Saying(given), manifest).answer(ROWS)


@pytest.mark.parametrize("narrow", ["float32", "int32"])
def test_pyfunc_runtime_narrows_numbers_to_the_signature(tmp_path, narrow):
    """MLflow refuses to make a narrow number of a wide one by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow

        def total(model_input):
            assert {str(kind) for kind in model_input.dtypes} == {narrow}
            return model_input.sum(axis=1)

        rows = pd.DataFrame(np.ones((3, 4)), columns=[f.name for f in samples.NUMBERS])
        signature = mlflow.models.infer_signature(rows.astype(narrow), [1.0])
        folder = str(tmp_path / "m")
        mlflow.pyfunc.save_model(
            folder, python_model=total, signature=signature, pip_requirements=["pandas"]
        )
        model = mlflow.pyfunc.load_model(folder)
        manifest = samples.number_manifest(task="regression", classes=())
        assert PyfuncRuntime(model, manifest).answer([(1.0, 2.0, 3.0, 4.0)]) == [Output(10.0)]
