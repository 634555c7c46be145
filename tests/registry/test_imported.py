"""Models that others logged: their signatures, classes, examples, and our copies."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow.models import Model, ModelSignature
    from mlflow.models.utils import _save_example
    from mlflow.types import DataType, Schema, TensorSpec
    from mlflow.types.schema import AnyType, ColSpec

from serinus import wire
from serinus.errors import InvalidInput, NotFound
from serinus.registry import imported

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ROWS = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 0.25, 0.125, 0.0]})


def save(folder: Path, model: Any, signature: Any, **more: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model,
            str(folder),
            signature=signature,
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
            **more,
        )
    return str(folder)


def test_named_columns_are_the_inputs(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, ["no", "no", "yes", "yes"])
    signature = mlflow.models.infer_signature(ROWS.astype({"b": "float32"}), ["no"])
    manifest, run = imported.manifest_from(save(tmp_path / "m", model, signature), "fraud", "y")
    assert manifest == wire.Manifest(
        "fraud",
        "classification",
        (wire.Field("a", "double", required=True), wire.Field("b", "double", required=True)),
        "y",
        ("no", "yes"),
    )
    assert run == ""


def test_a_table_of_numbers_has_inputs_by_their_place(tmp_path: Path) -> None:
    array = ROWS.to_numpy()
    model = LinearRegression().fit(array, [1.0, 2.0, 3.0, 4.0])
    plain = mlflow.models.infer_signature(array, np.array([1.0]))
    named = ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2), "rows")]))
    for signature, names in ((plain, ["f0", "f1"]), (named, ["rows_0", "rows_1"])):
        source = save(tmp_path / names[0], model, signature)
        manifest, _ = imported.manifest_from(source, "m", "y")
        assert [field.name for field in manifest.inputs] == names
        assert manifest.task == "regression"


@pytest.mark.parametrize(
    ("metadata", "shape", "classes"),
    [
        ({"classes": ["low", "high"]}, (-1, 1), ("low", "high")),
        ({}, (-1, 3), (0, 1, 2)),
        ({}, (-1, 1), ()),
        ({"classes": "low"}, (-1,), ()),
    ],
)
def test_classes_that_only_the_model_card_tells(
    metadata: dict[str, Any], shape: tuple[int, ...], classes: tuple[Any, ...]
) -> None:
    answers = Schema([TensorSpec(np.dtype("float32"), shape)])
    assert imported._told_classes(metadata, answers) == classes


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (None, "no signature of named columns"),
        (ModelSignature(Schema([ColSpec(DataType.double)])), "no signature of named columns"),
        (ModelSignature(Schema([ColSpec(AnyType(), "a")])), "no request can carry"),
        (ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2))])), "shape"),
        (ModelSignature(Schema([TensorSpec(np.dtype("str"), (-1, 2))])), "no row of named values"),
    ],
)
def test_signatures_that_no_request_fits(tmp_path: Path, signature: Any, why: str) -> None:
    model = LinearRegression().fit(ROWS, [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(InvalidInput, match=why):
        imported.manifest_from(save(tmp_path / "m", model, signature), "m", "y")


def test_nothing_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no MLflow model"):
        imported.manifest_from(str(tmp_path / "none"), "m", "y")


@pytest.mark.parametrize("example", [ROWS, ROWS.to_numpy()], ids=["frame", "array"])
def test_rows_of_the_input_example(tmp_path: Path, example: Any) -> None:
    model = LinearRegression().fit(ROWS.to_numpy(), [1.0, 2.0, 3.0, 4.0])
    signature = mlflow.models.infer_signature(example, np.array([1.0]))
    source = save(tmp_path / "m", model, signature, input_example=example)
    manifest, _ = imported.manifest_from(source, "m", "y")
    expected = list(ROWS.itertuples(index=False, name=None))
    assert imported.example_rows(source, manifest) == expected
    names = [field.name for field in manifest.inputs]
    assert manifest.example == dict(zip(names, (1.0, 0.5), strict=True))


def test_a_model_without_an_example_has_no_rows(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS, [1.0, 2.0, 3.0, 4.0])
    source = save(tmp_path / "m", model, mlflow.models.infer_signature(ROWS, np.array([1.0])))
    manifest, _ = imported.manifest_from(source, "m", "y")
    assert imported.example_rows(source, manifest) == []
    assert manifest.example == {}


def test_the_example_is_the_first_complete_row_with_the_types_of_the_inputs(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame(
        {
            "x": [np.nan, np.inf, 3.0, 4.0],
            "n": [1, 2, 3, 4],
            "b": [True, False, True, False],
            "s": ["a", "b", None, "d"],
        }
    )
    signature = ModelSignature(
        Schema(
            [
                ColSpec(DataType.double, "x", required=False),
                ColSpec(DataType.long, "n"),
                ColSpec(DataType.boolean, "b"),
                ColSpec(DataType.string, "s", required=False),
            ]
        )
    )
    model = LinearRegression().fit(ROWS, [1.0, 2.0, 3.0, 4.0])
    for rows, expected in (
        (frame, {"x": 4.0, "n": 4, "b": False, "s": "d"}),
        (frame.head(3), {"x": None, "n": 1, "b": True, "s": "a"}),
        (frame.iloc[[1]], {}),
    ):
        source = save(tmp_path / f"{len(rows)}", model, signature)
        # MLflow asks the model itself about an example it is given; this one takes no text.
        saved = Model.load(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _save_example(saved, rows, source)
        saved.save(f"{source}/MLmodel")
        example = imported.manifest_from(source, "m", "y")[0].example
        assert example == expected
        assert [type(value) for value in example.values()] == [
            type(value) for value in expected.values()
        ]


def test_a_copy_leaves_behind_how_the_other_was_served(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS, [1.0, 2.0, 3.0, 4.0])
    source = save(tmp_path / "m", model, mlflow.models.infer_signature(ROWS, np.array([1.0])))
    (tmp_path / "m" / wire.PACKAGE_FILE).write_text("{}")
    manifest, _ = imported.manifest_from(source, "m", "y")
    copy = Path(imported.bring_in(source, manifest, artifacts=tmp_path / "artifacts"))
    assert (copy / wire.MANIFEST_FILE).exists()
    assert not (copy / wire.PACKAGE_FILE).exists()
    assert (tmp_path / "m" / wire.PACKAGE_FILE).exists()
