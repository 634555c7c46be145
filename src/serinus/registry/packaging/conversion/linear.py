"""Logistic regression in two steps, where a general converter takes eight."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from serinus.registry.packaging.conversion.columns import Nodes
from serinus.registry.packaging.types import Unconvertible

_ML = "ai.onnx.ml"


def logistic(scope: Any, operator: Any, container: Any) -> None:
    """``LogisticRegression``: a product and a sigmoid, or a softmax of three classes and more."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    classes = np.asarray(model.classes_).tolist()
    weights, offsets = model.coef_, np.broadcast_to(model.intercept_, (len(model.coef_),))
    curve = "Softmax"
    if len(classes) == 2:
        weights, offsets = np.vstack([-weights, weights]), np.concatenate([-offsets, offsets])
        curve = "Sigmoid"
    elif model.solver == "liblinear" or len(weights) != len(classes):
        raise Unconvertible("it is one regression against the rest for each class")
    rows = nodes.together([given.full_name for given in operator.inputs])
    products = nodes.add(
        "Gemm",
        rows,
        nodes.constant(TensorProto.DOUBLE, np.ascontiguousarray(weights.T)),
        nodes.constant(TensorProto.DOUBLE, offsets),
    )
    label, scores = (output.full_name for output in operator.outputs)
    nodes.add(curve, products, output=scores)
    texts = all(isinstance(name, str) for name in classes)
    kind = TensorProto.STRING if texts else TensorProto.INT64
    names = nodes.constant(kind, classes if texts else [int(name) for name in classes])
    best = nodes.add("ArgMax", products, axis=1, keepdims=0)
    nodes.add("Gather", names, best, output=label, axis=0)
