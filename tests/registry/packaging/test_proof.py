from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.registry.packaging import fitted

from serinus import wire
from serinus.registry.packaging import proof, variations
from serinus.registry.packaging.types import Row
from serinus.serving.runtimes.onnx import OnnxRuntime
from serinus.serving.types import Outcome
from serinus.wire import Output

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")
CLASSES = (0, 1)


class Scripted:
    """A runtime that answers as a function of one row says; None of it raises."""

    is_steady = True

    def __init__(self, say: Any, classes: tuple[Any, ...] = CLASSES) -> None:
        self.manifest = fitted.manifest(classes)
        self._say = say

    def answer(self, rows: Sequence[Row]) -> list[Outcome]:
        found = [self._say(row, len(rows)) for row in rows]
        if None in found:
            raise ValueError("a row that it refuses")
        return found

    def close(self) -> None:
        """Nothing to close."""


ROWS: list[Row] = [(float(place), 0.0, 0.0, 0.0) for place in range(40)]
SURE = Output(1, (0.1, 0.9))


def verdict(theirs: Any, ours: Any, *, are_real: bool, classes: tuple[Any, ...] = CLASSES) -> Any:
    asked = proof.ask(Scripted(theirs, classes), ROWS, are_real=are_real)
    return proof.compare(asked, Scripted(ours, classes), 1e-6)


def test_equal_answers_have_no_fault() -> None:
    assert verdict(lambda *_: SURE, lambda *_: SURE, are_real=True) == proof.Difference(0.0)


@pytest.mark.parametrize(
    ("ours", "fault"),
    [
        (lambda row, _: Output(1, (0.1, 0.9 + 1e-4 * (row[0] == 39.0))), "a difference of 0.0001"),
        (lambda row, _: Output(0 if row[0] == 7.0 else 1, (0.1, 0.9)), "0 where 1 was due"),
        (lambda row, _: "unusable output" if row[0] == 7.0 else SURE, "unusable output where 1"),
        (lambda row, _: None if row[0] == 7.0 else SURE, "a refusal where 1 was due"),
        (lambda *_: Output(1, (0.9,)), "1 scores where 2 were due"),
        (lambda _, count: SURE if count > 1 else Output(0, (0.1, 0.9)), "0 where 1 was due"),
        (lambda _, count: SURE if count < 2 else Output(0, (0.1, 0.9)), "0 where 1 was due"),
    ],
    ids=["score", "class", "unusable", "refusal", "fewer scores", "alone", "in a batch"],
)
@pytest.mark.parametrize("are_real", [True, False])
def test_one_wrong_answer_is_found(ours: Any, fault: str, are_real: bool) -> None:
    assert fault in verdict(lambda *_: SURE, ours, are_real=are_real).fault


def test_a_tie_may_turn_round_on_varied_rows_only() -> None:
    half = math.nextafter(0.5, 1.0)

    def theirs(*_: Any) -> Output:
        return Output(1, (1 - half, half))

    def ours(*_: Any) -> Output:
        return Output(0, (half, 1 - half))

    assert verdict(theirs, ours, are_real=False).fault == ""
    assert "0 where 1 was due" in verdict(theirs, ours, are_real=True).fault


def test_another_class_is_a_fault_if_the_original_was_sure() -> None:
    found = verdict(lambda *_: SURE, lambda *_: Output(0, SURE.scores), are_real=False)
    assert found.fault == "0 where 1 was due"


def test_what_the_original_refuses_is_compared_if_it_is_real_or_lacks_a_value() -> None:
    def refusing(row: Row, _: int) -> Any:
        return None if row[0] == 3.0 else SURE

    assert "1 where a refusal was due" in verdict(refusing, lambda *_: SURE, are_real=True).fault
    assert verdict(refusing, lambda *_: SURE, are_real=False).fault == ""
    gaps: list[Row] = [(None, 0.0, 0.0, 0.0)]
    asked = proof.ask(Scripted(lambda *_: None), gaps, are_real=False)
    assert "a refusal was due" in proof.compare(asked, Scripted(lambda *_: SURE), 1e-6).fault


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_differences_of_values_are_relative_to_their_size(scale: float) -> None:
    def theirs(row: Row, _: int) -> Output:
        return Output(float(row[0] or 0.0) * scale)

    def ours(row: Row, _: int) -> Output:
        return Output(float(row[0] or 0.0) * scale * (1 + 1e-5))

    found = verdict(theirs, ours, are_real=True, classes=())
    assert "a difference" in found.fault
    assert found.largest < 1.1e-5


def forest() -> tuple[Any, wire.Manifest, list[Row]]:
    frame = fitted.numbers()
    model = RandomForestClassifier(20, random_state=0).fit(frame, fitted.truth(frame, CLASSES))
    about = fitted.manifest(CLASSES)
    return model, about, fitted.rows_of(frame, about)


def proven(model: Any, about: wire.Manifest, rows: list[Row], graph: OnnxRuntime) -> list[str]:
    original = fitted.original(model, about)
    varied = variations.variations(about, rows)
    varied += variations.edges(about, rows, proof.numbers_of(original))
    return [
        proof.compare(proof.ask(original, rows, are_real=True), graph, 1e-6).fault,
        proof.compare(proof.ask(original, varied, are_real=False), graph, 1e-6).fault,
    ]


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(item for item in node.attribute if item.name == name)


def test_thresholds_rounded_to_32_bits_are_found_though_no_real_row_shows_it(
    tmp_path: Path,
) -> None:
    """What converters commonly do, and what a test set does not tell."""
    model, about, rows = forest()
    assert proven(model, about, rows, fitted.graph(model, about, tmp_path)) == ["", ""]
    path = tmp_path / "graph.onnx"
    graph = onnx.load(path)
    node = next(item for item in graph.graph.node if item.op_type == "TreeEnsembleClassifier")
    held = attribute(node, "nodes_values_as_tensor")
    plain = numpy_helper.to_array(held.t)
    rounded = np.nextafter(plain.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    held.t.CopyFrom(numpy_helper.from_array(rounded, "nodes_values_as_tensor"))
    path.write_bytes(graph.SerializeToString())
    on_real, on_varied = proven(model, about, rows, OnnxRuntime(path, about))
    assert on_real == ""
    assert "a difference" in on_varied or "was due" in on_varied


def test_a_weight_that_is_a_little_off_is_found(tmp_path: Path) -> None:
    frame = fitted.numbers()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(frame, fitted.truth(frame, CLASSES))
    about = fitted.manifest(CLASSES)
    fitted.graph(model, about, tmp_path)
    path = tmp_path / "graph.onnx"
    graph = onnx.load(path)
    gemm = next(node for node in graph.graph.node if node.op_type == "Gemm")
    weights = next(item for item in graph.graph.initializer if item.name == gemm.input[1])
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * 1.0001, weights.name))
    path.write_bytes(graph.SerializeToString())
    on_real, _ = proven(model, about, fitted.rows_of(frame, about), OnnxRuntime(path, about))
    assert "a difference" in on_real


def test_microseconds_of_each_size() -> None:
    frame = fitted.numbers()
    model = Ridge().fit(frame, fitted.truth(frame, ()))
    about = fitted.manifest()
    found = proof.microseconds(fitted.original(model, about), fitted.rows_of(frame, about))
    assert set(found) == {"1", "32", "1000"}
    assert 0 < found["1"] < found["1000"]
