from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor
from tests.registry.packaging import fitted
from xgboost import XGBRegressor

from serinus.registry.packaging.conversion import trees
from serinus.registry.packaging.types import Unconvertible
from serinus.wire import Output


def nodes(folder: Path) -> list[str]:
    return [node.op_type for node in onnx.load(folder / "graph.onnx").graph.node]


def test_rows_are_rounded_as_the_library_rounds_them(tmp_path: Path) -> None:
    frame = fitted.numbers()
    target = fitted.truth(frame, ())
    about = fitted.manifest()
    fitted.graph(DecisionTreeRegressor(max_depth=2).fit(frame, target), about, tmp_path)
    assert nodes(tmp_path) == ["Cast", "Cast", "TreeEnsembleRegressor"]
    fitted.graph(XGBRegressor(n_estimators=2, n_jobs=1).fit(frame, target), about, tmp_path)
    assert nodes(tmp_path) == ["Cast", "TreeEnsembleRegressor"]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_tree_that_is_one_leaf_answers(tmp_path: Path) -> None:
    frame = fitted.numbers(40)
    model = DecisionTreeRegressor().fit(frame, np.full(40, 2.5))
    graph = fitted.graph(model, fitted.manifest(), tmp_path)
    assert graph.answer([(1.0, 2.0, 3.0, 4.0)]) == [Output(2.5)]


def test_two_classes_need_one_weight_a_leaf() -> None:
    from serinus.registry.packaging.conversion import estimators

    frame = fitted.numbers()
    for classes, width in (((0, 1), 1), ((0, 1, 2), 3)):
        model = RandomForestClassifier(2).fit(frame, fitted.truth(frame, classes))
        assert {tree.weights.shape[1] for tree in estimators.forest(model).trees} == {width}


def test_classes_that_are_neither_texts_nor_whole_numbers() -> None:
    with pytest.raises(Unconvertible, match="neither texts nor whole numbers"):
        trees._labels([0.5, 1.5])
