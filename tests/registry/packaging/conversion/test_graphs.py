from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from serinus.registry.packaging.conversion import graphs
from serinus.registry.packaging.types import Unconvertible
from serinus.serving.runtimes.onnx import CLASSES


def model(width: int = 2, kind: int = TensorProto.DOUBLE) -> onnx.ModelProto:
    """Twice the rows as ``out``, and a label that nothing needs."""
    two = helper.make_tensor("two", kind, [1], [2.0])
    lonely = helper.make_tensor("lonely", kind, [1], [3.0])
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["numbers", "two"], ["scores"]),
            helper.make_node("Identity", ["scores"], ["out"]),
            helper.make_node("ArgMax", ["scores"], ["which"], axis=1),
        ],
        "g",
        [helper.make_tensor_value_info("numbers", kind, [None, width])],
        [
            helper.make_tensor_value_info("out", kind, [None, width]),
            helper.make_tensor_value_info("which", TensorProto.INT64, [None, 1]),
        ],
        [two, lonely],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def run(made: onnx.ModelProto) -> list[list[float]]:
    session = onnxruntime.InferenceSession(made.SerializeToString())
    found = session.run(None, {"numbers": np.array([[1.0, 2.0]])})
    assert len(found) == 1
    return list(found[0].tolist())


def test_finish_keeps_what_leads_to_the_answer_and_tells_the_classes() -> None:
    made = graphs.finish(model(), {"scores": "out"}, ["no", "yes"])
    assert run(made) == [[2.0, 4.0]]
    assert [node.op_type for node in made.graph.node] == ["Mul", "Identity"]
    assert [item.name for item in made.graph.initializer] == ["two"]
    assert {item.key: item.value for item in made.metadata_props} == {CLASSES: '["no","yes"]'}
    assert graphs.opset(made) == 19


def test_finish_of_a_name_that_means_something_else_inside() -> None:
    """Its ``scores`` become ``inner scores``, as ``which`` is what is wanted."""
    assert run(graphs.finish(model(), {"scores": "which"}, [0, 1])) == [[1]]


def test_finish_without_the_wanted_output() -> None:
    with pytest.raises(Unconvertible, match="no output 'probabilities'"):
        graphs.finish(model(), {"scores": "probabilities"})


def test_from_doubles_takes_any_number_of_wide_rows(tmp_path: Path) -> None:
    single = model(kind=TensorProto.FLOAT)
    single.graph.input[0].name = "rows"
    single.graph.node[0].input[0] = "rows"
    made = graphs.finish(graphs.from_doubles(single), {"value": "out"})
    assert run(made) == [[2.0, 4.0]]


def test_from_doubles_of_two_tensors_is_refused() -> None:
    two = model()
    two.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [None, 1]))
    with pytest.raises(Unconvertible, match="takes 2 tensors"):
        graphs.from_doubles(two)
