"""Linear classifiers in two steps, in 64 bits, where a general converter takes eight or none."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from serinus.registry.packaging.conversion.columns import Nodes
from serinus.registry.packaging.types import Unconvertible


def logistic(scope: Any, operator: Any, container: Any) -> None:
    """``LogisticRegression``: a product and a sigmoid, or a softmax of three classes and more."""
    model = operator.raw_operator
    many = len(model.classes_) > 2
    if many and (model.solver == "liblinear" or len(model.coef_) != len(model.classes_)):
        raise Unconvertible("it is one regression against the rest for each class")
    nodes = Nodes(scope, container)
    products = _decide(nodes, operator)
    scores = operator.outputs[1].full_name
    nodes.add("Softmax" if many else "Sigmoid", products, output=scores)


def nearest(scope: Any, operator: Any, container: Any) -> None:
    """Classifiers that only say on which side of a plane a row is, such as ``LinearSVC``."""
    nodes = Nodes(scope, container)
    nodes.add("Identity", _decide(nodes, operator), output=operator.outputs[1].full_name)


def _decide(nodes: Nodes, operator: Any) -> str:
    """The class with the largest product as the label; the products, one for each class."""
    model = operator.raw_operator
    classes = np.asarray(model.classes_).tolist()
    weights, offsets = model.coef_, np.broadcast_to(model.intercept_, (len(model.coef_),))
    if len(classes) == 2:
        weights, offsets = np.vstack([-weights, weights]), np.concatenate([-offsets, offsets])
    rows = nodes.together([given.full_name for given in operator.inputs])
    products = nodes.add(
        "Gemm",
        rows,
        nodes.constant(TensorProto.DOUBLE, np.ascontiguousarray(weights.T)),
        nodes.constant(TensorProto.DOUBLE, offsets),
    )
    texts = all(isinstance(name, str) for name in classes)
    kind = TensorProto.STRING if texts else TensorProto.INT64
    names = nodes.constant(kind, classes if texts else [int(name) for name in classes])
    best = nodes.add("ArgMax", products, axis=1, keepdims=0)
    nodes.add("Gather", names, best, output=operator.outputs[0].full_name, axis=0)
    return products
