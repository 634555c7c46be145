"""scikit-learn's estimators and pipelines, with XGBoost's and LightGBM's in them."""

from __future__ import annotations

import copy
import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from serinus import wire
from serinus.registry.packaging.conversion import columns, estimators, linear, trees
from serinus.registry.packaging.types import Unconvertible

OPSETS = {"": 19, "ai.onnx.ml": 3}

Reader = Callable[[Any], trees.Ensemble]
Converter = Callable[[Any, Any, Any], None]

_TREES: tuple[tuple[str, Reader, tuple[str, ...]], ...] = (
    (
        "sklearn.tree",
        estimators.forest,
        (
            "DecisionTreeClassifier",
            "DecisionTreeRegressor",
            "ExtraTreeClassifier",
            "ExtraTreeRegressor",
        ),
    ),
    (
        "sklearn.ensemble",
        estimators.forest,
        (
            "RandomForestClassifier",
            "RandomForestRegressor",
            "ExtraTreesClassifier",
            "ExtraTreesRegressor",
        ),
    ),
    (
        "sklearn.ensemble",
        estimators.gradient_boosting,
        ("GradientBoostingClassifier", "GradientBoostingRegressor"),
    ),
    (
        "sklearn.ensemble",
        estimators.histogram_boosting,
        ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"),
    ),
    (
        "xgboost",
        estimators.xgboost,
        ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"),
    ),
    ("lightgbm", estimators.lightgbm, ("LGBMClassifier", "LGBMRegressor")),
)


def convert(model: Any, manifest: wire.Manifest) -> onnx.ModelProto:
    """The graph of a fitted estimator or pipeline, as skl2onnx names its outputs.

    Args:
        model: the estimator.
        manifest: tells which inputs are numbers and which are texts.

    Raises:
        Unconvertible: a part of it has no converter.
    """
    _register()
    numbers = [field.name for field in manifest.inputs if field.type != "string"]
    texts = [field.name for field in manifest.inputs if field.type == "string"]
    types: list[tuple[str, Any]] = []
    if numbers:
        types.append(("numbers", DoubleTensorType([None, len(numbers)])))
    if texts:
        types.append(("texts", StringTensorType([None, len(texts)])))
    places = {name: place for place, name in enumerate([*numbers, *texts])}
    order = [places[field.name] for field in manifest.inputs]
    placed = _by_place(model, manifest, order)
    options = {id(placed): {"zipmap": False}} if manifest.task == "classification" else None
    try:
        made: onnx.ModelProto = convert_sklearn(
            placed, initial_types=types, options=options, target_opset=OPSETS
        )
    except Unconvertible:
        raise
    except Exception as error:
        first = str(error).strip().splitlines()
        raise Unconvertible(
            f"scikit-learn's converter gives up ({type(error).__name__}: "
            f"{first[0] if first else 'no reason told'})"
        ) from error
    return made


def _by_place(model: Any, manifest: wire.Manifest, order: list[int]) -> Any:
    """The model with columns called by their place in the graph's inputs, not by name.

    Args:
        model: it is copied where it changes.
        manifest: of the version.
        order: the place of each of the manifest's inputs.
    """
    if hasattr(model, "best_estimator_"):
        return _by_place(model.best_estimator_, manifest, order)
    if hasattr(model, "steps"):
        steps = [(name, step) for name, step in model.steps if step not in (None, "passthrough")]
        if not steps:
            raise Unconvertible("the pipeline does nothing")
        (name, head), *rest = steps
        made = copy.copy(model)
        made.steps = [(name, _by_place(head, manifest, order)), *rest]
        made.steps[-1] = (made.steps[-1][0], _plain_vote(made.steps[-1][1]))
        return made if len(made.steps) > 1 else made.steps[0][1]
    model = _plain_vote(model)
    if not hasattr(model, "transformers_"):
        if order != list(range(len(order))):
            raise Unconvertible("texts and numbers meet before a ColumnTransformer parts them")
        return model
    names = getattr(model, "feature_names_in_", [field.name for field in manifest.inputs])
    known = {field.name: place for field, place in zip(manifest.inputs, order, strict=True)}
    made = copy.copy(model)
    made.transformers_ = []
    for name, part, given in model.transformers_:
        if isinstance(given, str):
            raise Unconvertible("a step takes one column as a series")
        indices = model._transformer_to_input_indices[name]
        places: list[int] = [known[str(names[at])] for at in indices]
        if not places or (isinstance(part, str) and part == "drop"):
            continue
        if places != sorted(places):
            # skl2onnx takes all columns of a table as they are, in whatever order they were named.
            turned = Reordered([sorted(places).index(place) for place in places])
            plain = isinstance(part, str)
            part = turned if plain else Pipeline([("turn", turned), ("do", part)])  # noqa: PLW2901
        made.transformers_.append((name, part, sorted(places)))
    return made


class Reordered(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns in another order.

    Args:
        order: which column comes first, second, ….
    """

    def __init__(self, order: list[int]) -> None:
        self.order = order


def _plain_vote(model: Any) -> Any:
    """A vote of one as its one; any other as its converter likes it."""
    if type(model).__name__ != "VotingClassifier":
        return model
    if model.voting == "soft" and len(model.estimators_) == 1:
        return model.estimators_[0]
    made = copy.copy(model)
    made.flatten_transform = False
    return made


@functools.cache
def _register() -> None:
    """Teach skl2onnx this process's converters; libraries that are missing are passed over."""
    for library, read, names in _TREES:
        try:
            module = importlib.import_module(library)
        except ImportError:
            continue
        for name in names:
            _register_trees(getattr(module, name), read)
    planes = importlib.import_module("sklearn.linear_model")
    shape = calculate_linear_classifier_output_shapes
    _register_classifier(planes.LogisticRegression, linear.logistic, shape)
    for kind in (importlib.import_module("sklearn.svm").LinearSVC, planes.RidgeClassifier):
        _register_classifier(kind, linear.nearest, shape)
    impute = importlib.import_module("sklearn.impute").SimpleImputer
    encoder = importlib.import_module("sklearn.preprocessing").OneHotEncoder
    update_registered_converter(Reordered, "SerinusReordered", _shape_of_reordered, columns.reorder)
    update_registered_converter(impute, "SerinusImputer", _shape_of_imputer, columns.impute)
    update_registered_converter(encoder, "SerinusOneHot", _shape_of_encoder, columns.encode)


def _register_trees(kind: Any, read: Reader) -> None:
    def converter(scope: Any, operator: Any, container: Any) -> None:
        trees.add(read(operator.raw_operator), scope, operator, container)

    if "Classifier" in kind.__name__:
        _register_classifier(kind, converter, _shape_of_trees)
    else:
        update_registered_converter(kind, f"Serinus{kind.__name__}", _shape_of_trees, converter)


def _register_classifier(kind: Any, converter: Converter, shape: Callable[[Any], None]) -> None:
    options = {
        "zipmap": [True, False, "columns"],
        "nocl": [True, False],
        "output_class_labels": [False, True],
        "raw_scores": [True, False],
    }
    update_registered_converter(kind, f"Serinus{kind.__name__}", shape, converter, options=options)


def _shape_of_trees(operator: Any) -> None:
    if hasattr(operator.raw_operator, "classes_"):
        calculate_linear_classifier_output_shapes(operator)
    else:
        calculate_linear_regressor_output_shapes(operator)
    last = operator.outputs[-1]
    last.type = DoubleTensorType(last.type.shape)


def _shape_of_reordered(operator: Any) -> None:
    width = len(operator.raw_operator.order)
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def _shape_of_imputer(operator: Any) -> None:
    width = len(operator.raw_operator.statistics_)
    operator.outputs[0].type = type(operator.inputs[0].type)([None, width])


def _shape_of_encoder(operator: Any) -> None:
    width = int(np.sum(operator.raw_operator._n_features_outs))
    operator.outputs[0].type = DoubleTensorType([None, width])
