"""Ensembles of trees as one node, every threshold and direction as the library itself has them.

The usual converters write thresholds as 32-bit numbers and lose what happens between two of them.
Here a row is compared as its library compares it: scikit-learn's forests round the row to 32 bits
and compare with 64-bit thresholds, its histogram trees and LightGBM's compare 64 bits with 64,
XGBoost's 32 with 32.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, numpy_helper

from serinus.registry.packaging.types import Unconvertible

Precision = Literal["double", "rounded", "single"]
"""How a row is compared: 64 bits; rounded to 32 bits, then as 64; 32 bits throughout."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ML = "ai.onnx.ml"
_VERSION = 3
"""The first version of the node whose thresholds may have 64 bits."""


@dataclass(frozen=True)
class Tree:
    """One tree as arrays over its nodes; node 0 is the root.

    Args:
        left: child where the comparison is true, -1 for a leaf.
        right: the other child.
        feature: which input is compared.
        threshold: what it is compared with.
        missing_left: whether a missing value goes left.
        weights: what each leaf adds, shape (nodes, targets).
        target: the target that a single column of ``weights`` adds to.
    """

    left: Ints
    right: Ints
    feature: Ints
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    weights: Floats
    target: int = 0


@dataclass(frozen=True)
class Ensemble:
    """Trees whose leaves are summed up, and what becomes of the sum.

    Args:
        trees: of them.
        precision: in which a row is compared.
        base: added to the sum of each target.
        transform: ``NONE``, ``LOGISTIC``, ``SOFTMAX``, or ``EXP``.
        strict: whether a row goes left only if it is less than the threshold, not equal.
        classes: of a classifier, else empty. Two classes may have one target: the second's.
    """

    trees: list[Tree]
    precision: Precision
    base: list[float] = field(default_factory=list)
    transform: str = "NONE"
    strict: bool = False
    classes: list[Any] = field(default_factory=list)


def add(ensemble: Ensemble, scope: Any, operator: Any, container: Any) -> None:
    """Add an ensemble's nodes to skl2onnx's container: 64-bit rows in, 64-bit results out."""
    if len(operator.inputs) != 1:
        raise Unconvertible("trees take one table of numbers")
    rows = operator.inputs[0].full_name
    if ensemble.precision != "double":
        rows = _cast(scope, container, rows, TensorProto.FLOAT)
    if ensemble.precision == "rounded":
        rows = _cast(scope, container, rows, TensorProto.DOUBLE)
    outputs = [output.full_name for output in operator.outputs]
    narrow = scope.get_unique_variable_name("narrow")
    kind = "Classifier" if ensemble.classes else "Regressor"
    container.add_node(
        f"TreeEnsemble{kind}",
        [rows],
        [outputs[0], narrow] if ensemble.classes else [narrow],
        op_domain=_ML,
        op_version=_VERSION,
        name=scope.get_unique_operator_name("trees"),
        **_attributes(ensemble),
    )
    if ensemble.transform == "EXP":
        plain, narrow = narrow, scope.get_unique_variable_name("exp")
        container.add_node("Exp", [plain], [narrow], name=scope.get_unique_operator_name("exp"))
    container.add_node(
        "Cast",
        [narrow],
        [outputs[-1]],
        to=TensorProto.DOUBLE,
        name=scope.get_unique_operator_name("widen"),
    )


def _cast(scope: Any, container: Any, name: str, kind: int) -> str:
    made: str = scope.get_unique_variable_name("cast")
    container.add_node("Cast", [name], [made], to=kind, name=scope.get_unique_operator_name("cast"))
    return made


def _attributes(ensemble: Ensemble) -> dict[str, Any]:
    trees = _with_a_negative_leaf(ensemble)
    sizes = [len(tree.left) for tree in trees]
    leaf = np.concatenate([tree.left for tree in trees]) < 0
    mode = "BRANCH_LT" if ensemble.strict else "BRANCH_LEQ"
    kind = np.float32 if ensemble.precision == "single" else np.float64
    thresholds = np.concatenate([tree.threshold for tree in trees])
    found: dict[str, Any] = {
        "nodes_treeids": np.repeat(np.arange(len(trees)), sizes),
        "nodes_nodeids": np.concatenate([np.arange(size) for size in sizes]),
        "nodes_featureids": _where_branch(leaf, [tree.feature for tree in trees]),
        "nodes_truenodeids": _where_branch(leaf, [tree.left for tree in trees]),
        "nodes_falsenodeids": _where_branch(leaf, [tree.right for tree in trees]),
        "nodes_missing_value_tracks_true": _where_branch(
            leaf, [tree.missing_left.astype(np.int64) for tree in trees]
        ),
        "nodes_modes": ["LEAF" if ends else mode for ends in leaf.tolist()],
        "post_transform": "NONE" if ensemble.transform == "EXP" else ensemble.transform,
        **_tensor("nodes_values", np.where(leaf, 0.0, thresholds), kind),
        **_leaves(trees, kind, "class" if ensemble.classes else "target"),
    }
    if ensemble.base:
        found |= _tensor("base_values", np.array(ensemble.base), kind)
    if ensemble.classes:
        found |= _labels(ensemble.classes)
    return found


def _where_branch(leaf: npt.NDArray[np.bool_], parts: list[Any]) -> list[int]:
    return list(np.where(leaf, 0, np.concatenate(parts)).astype(np.int64).tolist())


def _with_a_negative_leaf(ensemble: Ensemble) -> list[Tree]:
    """The trees; where the sum is a logit, with a leaf that is negative, however little.

    ONNX Runtime takes a sum of positive weights alone for a probability already.
    """
    if ensemble.transform != "LOGISTIC":
        return ensemble.trees
    nothing = np.array([-1])
    tiny = Tree(nothing, nothing, nothing, np.zeros(1), np.zeros(1, bool), np.array([[-1e-30]]))
    return [*ensemble.trees, tiny]


def _leaves(trees: list[Tree], kind: Any, word: str) -> dict[str, Any]:
    ids: list[Ints] = []
    nodes: list[Ints] = []
    targets: list[Ints] = []
    weights: list[Floats] = []
    for number, tree in enumerate(trees):
        leaves = np.flatnonzero(tree.left < 0)
        width = tree.weights.shape[1]
        nodes.append(np.repeat(leaves, width))
        ids.append(np.full(len(leaves) * width, number))
        targets.append(np.tile(np.arange(width) + tree.target, len(leaves)))
        weights.append(tree.weights[leaves].ravel())
    found: dict[str, Any] = {
        f"{word}_treeids": np.concatenate(ids).tolist(),
        f"{word}_nodeids": np.concatenate(nodes).tolist(),
        f"{word}_ids": np.concatenate(targets).tolist(),
        **_tensor(f"{word}_weights", np.concatenate(weights), kind),
    }
    return found if word == "class" else {**found, "n_targets": 1}


def _labels(classes: list[Any]) -> dict[str, Any]:
    if all(isinstance(name, str) for name in classes):
        return {"classlabels_strings": classes}
    if all(isinstance(name, bool | int) for name in classes):
        return {"classlabels_int64s": [int(name) for name in classes]}
    raise Unconvertible("its classes are neither texts nor whole numbers")


def _tensor(name: str, values: npt.NDArray[Any], kind: Any) -> dict[str, Any]:
    if kind is np.float32:
        return {name: values.astype(np.float32)}
    full = f"{name}_as_tensor"
    return {full: numpy_helper.from_array(values.astype(np.float64), full)}
