from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.registry.packaging import fitted

from serinus.wire import Output

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


@pytest.mark.parametrize("classes", [(0, 1), ("a", "b"), (0, 1, 2), ("a", "b", "c")])
def test_logistic_regression_gives_its_probabilities(
    classes: tuple[Any, ...], tmp_path: Path
) -> None:
    frame = fitted.numbers()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(frame, fitted.truth(frame, classes))
    about = fitted.manifest(classes)
    graph = fitted.graph(model, about, tmp_path)
    steps = [node.op_type for node in onnx.load(tmp_path / "graph.onnx").graph.node]
    assert steps == ["Sub", "Div", "Gemm", "Sigmoid" if len(classes) == 2 else "Softmax"]
    plain = frame.to_numpy()

    @settings(max_examples=30)
    @given(
        arrays.arrays(np.float64, (3, fitted.WIDTH), elements=st.floats(-1e6, 1e6, allow_nan=False))
    )
    def same(rows: Any) -> None:
        expected = model.predict_proba(rows)
        for outcome, scores in zip(graph.answer(rows.tolist()), expected, strict=True):
            assert isinstance(outcome, Output)
            assert outcome.scores == pytest.approx(tuple(scores), abs=1e-9)

    same()
    found = [outcome.value for outcome in graph.answer(plain.tolist())]  # type: ignore[union-attr]
    assert found == model.predict(plain).tolist()


def test_one_against_the_rest_is_left_to_the_original() -> None:
    from serinus.registry.packaging.conversion import sklearn as conversion
    from serinus.registry.packaging.types import Unconvertible

    frame = fitted.numbers()
    model = LogisticRegression(max_iter=5_000).fit(
        frame / frame.std(), fitted.truth(frame, (0, 1, 2))
    )
    model.coef_ = model.coef_[:2]
    with pytest.raises(Unconvertible, match="against the rest"):
        conversion.convert(model, fitted.manifest((0, 1, 2)))
