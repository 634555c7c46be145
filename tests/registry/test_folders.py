from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from mlflow.types import DataType

from serinus import wire
from serinus.registry import folders, tracking


def test_inputs_of_columns_of_each_kind() -> None:
    rows = pd.DataFrame(
        {
            "whole": [1, 2],
            "gap": [1.5, None],
            "flag": [True, False],
            "word": ["a", None],
            "flag with gap": np.array([True, None], dtype=object),
        }
    )

    assert folders.inputs_of(rows) == (
        wire.Field("whole", "double", required=True, low=0.0, high=3.0),
        wire.Field("gap", "double", low=0.0, high=3.0),
        wire.Field("flag", "boolean", required=True),
        wire.Field("word", "string", known=("a",)),
        wire.Field("flag with gap", "double", low=0.0, high=2.0),
    )


def test_inputs_of_keeps_optional_what_was_optional() -> None:
    before = wire.Manifest("m", "regression", (wire.Field("x", "double"),), "t")
    rows = pd.DataFrame({"x": [1.0, 2.0], "new": [1.0, 2.0]})

    assert [field.required for field in folders.inputs_of(rows, before)] == [False, True]


def test_example_of_prefers_a_complete_row_and_is_json() -> None:
    rows = pd.DataFrame({"x": [None, 2.0], "n": [1, 2], "flag": [True, False], "w": ["a", "b"]})
    example = folders.example_of(rows)

    assert example == {"x": 2.0, "n": 2.0, "flag": False, "w": "b"}
    assert msgspec.json.decode(msgspec.json.encode(example)) == example


def test_example_of_without_a_complete_row_has_nulls() -> None:
    assert folders.example_of(pd.DataFrame({"x": [1.0], "y": [None]})) == {"x": 1.0, "y": None}


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        ((0, 1), DataType.long),
        ((False, True), DataType.boolean),
        (("a", "b"), DataType.string),
        ((), DataType.double),
    ],
)
def test_signature_of_answers_in_the_labels_type(classes: tuple[Any, ...], kind: DataType) -> None:
    task = "classification" if classes else "regression"
    manifest = wire.Manifest("m", task, (wire.Field("x", "double"),), "t", classes)
    signature = folders.signature_of(manifest)

    assert signature.outputs.inputs[0].type == kind
    assert signature.inputs.inputs[0].required is False


class _Constant:
    """A model without probabilities and without scikit-learn."""

    def predict(self, rows: pd.DataFrame) -> list[str]:
        return ["yes"] * len(rows)


def test_scores_without_probabilities_are_certain() -> None:
    rows = pd.DataFrame({"x": [1.0, 2.0]})

    assert folders.scores(_Constant(), rows, ["no", "yes"]).tolist() == [[0, 1], [0, 1]]


def test_log_of_any_object_with_predict_can_be_loaded(tracking_uri: str, tmp_path: Path) -> None:
    manifest = wire.Manifest(
        "m", "classification", (wire.Field("x", "double"),), "t", ("no", "yes"), {"x": None}
    )
    experiment = tracking.experiment(tracking_uri, "m", tmp_path / "artifacts")
    run = tracking.client(tracking_uri).create_run(experiment)
    package = folders.log(
        _Constant(), manifest, run_id=run.info.run_id, uri=tracking_uri, artifacts=tmp_path
    )

    assert folders.load(package.uri).predict(pd.DataFrame({"x": [1.0]})) == ["yes"]
    assert Path(package.uri).is_relative_to(tmp_path / "artifacts")
    assert tracking.client(tracking_uri).get_run(run.info.run_id).info.status == "FINISHED"


def test_save_of_any_object_with_predict_can_be_loaded(tmp_path: Path) -> None:
    manifest = wire.Manifest(
        "m", "classification", (wire.Field("x", "double"),), "t", ("no", "yes"), {"x": 1.0}
    )
    folders.save(_Constant(), manifest, tmp_path / "a folder")

    assert folders.load(str(tmp_path / "a folder")).predict(pd.DataFrame({"x": [1.0]})) == ["yes"]
    written = (tmp_path / "a folder" / wire.MANIFEST_FILE).read_bytes()
    assert msgspec.json.decode(written, type=wire.Manifest) == manifest
