from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.registry.packaging import fitted

from serinus.registry.packaging.conversion import graphs, quantized
from serinus.registry.packaging.types import Unconvertible
from serinus.serving.runtimes.onnx import OnnxRuntime
from serinus.wire import Output


def network(path: Path, kind: int, scale: float) -> OnnxRuntime:
    """One product of a large matrix, whose weights are of any size."""
    chance = np.random.default_rng(0)
    real = np.float32 if kind == TensorProto.FLOAT else np.float64
    first = numpy_helper.from_array(chance.normal(size=(4, 256)).astype(real) * scale, "first")
    second = numpy_helper.from_array(chance.normal(size=(256, 1)).astype(real) / 256, "second")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["rows", "first"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "second"], ["given"]),
        ],
        "g",
        [helper.make_tensor_value_info("rows", kind, [None, 4])],
        [helper.make_tensor_value_info("given", kind, [None, 1])],
        [first, second],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    model = graphs.finish(graphs.from_doubles(model), {"value": "given"})
    path.write_bytes(model.SerializeToString())
    return OnnxRuntime(path, fitted.manifest())


def test_quantize_is_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    plain = network(tmp_path / "plain", TensorProto.FLOAT, 1.0)
    quantized.quantize(tmp_path / "plain", tmp_path / "small")
    small = OnnxRuntime(tmp_path / "small", fitted.manifest())
    rows = [(0.5, -1.0, 2.0, 0.1), (1.0, 1.0, -1.0, 0.3)]
    for theirs, ours in zip(plain.answer(rows), small.answer(rows), strict=True):
        assert isinstance(theirs, Output)
        assert isinstance(ours, Output)
        assert 0 < abs(float(theirs.value) - float(ours.value)) < 0.05
    assert (tmp_path / "small").stat().st_size < (tmp_path / "plain").stat().st_size
    assert "MatMulInteger" in {node.op_type for node in onnx.load(tmp_path / "small").graph.node}


def test_quantize_of_64_bits_is_refused(tmp_path: Path) -> None:
    network(tmp_path / "plain", TensorProto.DOUBLE, 1.0)
    with pytest.raises(Unconvertible, match="no product of 32-bit"):
        quantized.quantize(tmp_path / "plain", tmp_path / "small")
