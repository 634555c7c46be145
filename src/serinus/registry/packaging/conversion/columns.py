"""Columns prepared as scikit-learn does, in 64 bits, with missing texts and rare categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from onnx import TensorProto
from skl2onnx.common.data_types import StringTensorType

from serinus.registry.packaging.types import Unconvertible
from serinus.serving.runtimes.arrays import MISSING_TEXT

_ML = "ai.onnx.ml"


class Nodes:
    """Adds nodes to skl2onnx's container and gives back the names of what they make."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        made = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind.lower())
        self._container.add_node(kind, list(inputs), [made], name=name, **attributes)
        return made

    def constant(self, kind: int, values: Any) -> str:
        """Add a constant; its name."""
        name: str = self._scope.get_unique_variable_name("constant")
        array = np.asarray(values)
        self._container.add_initializer(name, kind, list(array.shape), array.ravel().tolist())
        return name

    def together(self, names: list[str], output: str = "") -> str:
        """Columns side by side."""
        if len(names) == 1 and not output:
            return names[0]
        return self.add("Concat", *names, output=output, axis=1)


def reorder(scope: Any, operator: Any, container: Any) -> None:
    """Columns in another order."""
    nodes = Nodes(scope, container)
    rows = nodes.together([given.full_name for given in operator.inputs])
    order = nodes.constant(TensorProto.INT64, operator.raw_operator.order)
    nodes.add("Gather", rows, order, output=operator.outputs[0].full_name, axis=1)


def impute(scope: Any, operator: Any, container: Any) -> None:
    """``SimpleImputer``: missing numbers and texts are filled in."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.add_indicator or not _is_missing(model.missing_values):
        raise Unconvertible("it fills in other than what is missing, or tells where it did")
    rows = nodes.together([given.full_name for given in operator.inputs])
    output = operator.outputs[0].full_name
    fill = model.statistics_.reshape(1, -1)
    if isinstance(operator.inputs[0].type, StringTensorType):
        told = nodes.constant(TensorProto.STRING, np.array([[str(text) for text in fill[0]]]))
        gap = nodes.add("Equal", rows, nodes.constant(TensorProto.STRING, [MISSING_TEXT]))
        nodes.add("Where", gap, told, rows, output=output)
        return
    fill = fill.astype(np.float64)
    if np.isnan(fill).any():
        raise Unconvertible("it drops a column that had no value at all")
    gap = nodes.add("IsNaN", rows)
    nodes.add("Where", gap, nodes.constant(TensorProto.DOUBLE, fill), rows, output=output)


def encode(scope: Any, operator: Any, container: Any) -> None:
    """``OneHotEncoder``: a column of 0 and 1 for each category, or group of rare ones."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.handle_unknown == "error":
        raise Unconvertible("an unknown category is an error, which no graph can raise")
    rows = nodes.together([given.full_name for given in operator.inputs])
    texts = isinstance(operator.inputs[0].type, StringTensorType)
    parts: list[str] = []
    for place, categories in enumerate(model.categories_):
        column = rows
        if len(model.categories_) > 1:
            at = nodes.constant(TensorProto.INT64, [place])
            column = nodes.add("Gather", rows, at, axis=1)
        groups, unknown = _groups(model, place)
        width = model._n_features_outs[place]
        encoded = _column_of_texts if texts else _column_of_numbers
        parts.append(encoded(nodes, column, (categories, groups, unknown, width)))
    nodes.together(parts, operator.outputs[0].full_name)


_Groups = tuple[Any, list[int], int, int]
"""Categories, the output column of each (-1: none), that of an unknown one, and their number."""


def _column_of_texts(nodes: Nodes, column: str, groups: _Groups) -> str:
    categories, places, unknown, width = groups
    keys = [MISSING_TEXT if pd.isna(name) else str(name) for name in categories]
    place = nodes.add(
        "LabelEncoder",
        column,
        op_domain=_ML,
        op_version=2,
        keys_strings=keys,
        values_int64s=places,
        default_int64=unknown,
    )
    every = nodes.constant(TensorProto.INT64, np.arange(width).reshape(1, -1))
    return nodes.add("Cast", nodes.add("Equal", place, every), to=TensorProto.DOUBLE)


def _column_of_numbers(nodes: Nodes, column: str, groups: _Groups) -> str:
    categories, places, unknown, width = groups
    known = np.asarray(categories, dtype=np.float64)
    if np.isnan(known).any() or unknown >= 0 or places != list(range(width)):
        raise Unconvertible("its categories are numbers, some of them missing, rare or left out")
    every = nodes.constant(TensorProto.DOUBLE, known.reshape(1, -1))
    return nodes.add("Cast", nodes.add("Equal", column, every), to=TensorProto.DOUBLE)


def _groups(model: Any, place: int) -> tuple[list[int], int]:
    """The output column of each category of an input, and that of an unknown one (-1: none)."""
    count = len(model.categories_[place])
    mapping = getattr(model, "_default_to_infrequent_mappings", None)
    found = list(range(count)) if not mapping or mapping[place] is None else mapping[place].tolist()
    rare = model.handle_unknown in {"infrequent_if_exist", "warn"} and bool(
        mapping and mapping[place] is not None
    )
    unknown = max(found) if rare else -1
    told = model._drop_idx_after_grouping
    dropped = None if told is None else told[place]
    if dropped is not None:
        found = [-1 if at == dropped else at - (at > dropped) for at in found]
        unknown = -1 if unknown == dropped else unknown - (unknown > dropped)
    return found, unknown


def _is_missing(value: Any) -> bool:
    return value is None or (not isinstance(value, str) and bool(pd.isna(value)))
