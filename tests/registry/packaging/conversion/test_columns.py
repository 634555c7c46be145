from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.registry.packaging import fitted

from serinus import wire
from serinus.registry import folders
from serinus.registry.packaging.conversion import sklearn as conversion
from serinus.registry.packaging.types import Unconvertible


def manifest(frame: pd.DataFrame) -> wire.Manifest:
    return wire.Manifest("m", "regression", folders.inputs_of(frame), "y")


def pipeline(step: Any, frame: pd.DataFrame, target: Any) -> Any:
    parts = ColumnTransformer([("all", step, list(frame.columns))])
    return make_pipeline(parts, Ridge(alpha=1e-6)).fit(frame, target)


def test_missing_numbers_are_filled_in_to_the_last_digit(tmp_path: Path) -> None:
    """Their mean has no 32-bit twin."""
    frame = pd.DataFrame({"a": [0.1, 0.2, np.nan, 0.7] * 9, "b": np.arange(36.0)})
    model = pipeline(SimpleImputer(), frame, frame["b"] * 1e6)
    graph = fitted.graph(model, manifest(frame), tmp_path)
    (found,) = graph.answer([(None, 5.0)])
    assert found.value == pytest.approx(  # type: ignore[union-attr]
        model.predict(pd.DataFrame({"a": [np.nan], "b": [5.0]}))[0], rel=1e-14
    )


def test_missing_texts_are_a_category_if_they_were_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"town": ["Ulm", None, "Bonn", None] * 9})
    step = make_pipeline(
        SimpleImputer(missing_values=pd.NA, strategy="constant", fill_value="none told"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    model = pipeline(step, frame, [1.0, 5.0, 2.0, 5.0] * 9)
    graph = fitted.graph(model, manifest(frame), tmp_path)
    told = [row.value for row in graph.answer([(None,), ("Ulm",), ("Bonn",)])]  # type: ignore[union-attr]
    assert told == pytest.approx([5.0, 1.0, 2.0], abs=1e-3)
    assert graph.answer([("none told",)]) == graph.answer([(None,)])


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (SimpleImputer(add_indicator=True), "tells where it did"),
        (SimpleImputer(missing_values=-1.0), "other than what is missing"),
        (OneHotEncoder(handle_unknown="error", sparse_output=False), "unknown category"),
    ],
)
def test_what_a_graph_cannot_do_is_said(step: Any, why: str) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0] * 5})
    model = pipeline(step, frame, frame["a"])
    with pytest.raises(Unconvertible, match=why):
        conversion.convert(model, manifest(frame))
