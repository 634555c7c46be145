"""A converter's graph -> a graph as the gateway's runtime takes it: named, pruned, with classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import onnx
from onnx import TensorProto, helper

from serinus.registry.packaging.types import Unconvertible
from serinus.serving.runtimes.onnx import CLASSES


def finish(
    model: onnx.ModelProto, outputs: dict[str, str], classes: Sequence[Any] = ()
) -> onnx.ModelProto:
    """The graph with nothing in it but what leads to the wanted outputs.

    Args:
        model: as a converter made it, with inputs ``numbers`` and ``texts``.
        outputs: what the runtime calls an output -> what the converter calls it.
        classes: of a classifier, in the order of its scores.
    """
    graph = model.graph
    known = {output.name for output in graph.output}
    missing = [name for name in outputs.values() if name not in known]
    if missing:
        raise Unconvertible(f"the graph has no output {missing[0]!r}, only {sorted(known)}")
    for ours in set(outputs) - set(outputs.values()):
        _rename(graph, ours, f"inner {ours}")
    sources = {ours: _rename(graph, theirs, f"their {theirs}") for ours, theirs in outputs.items()}
    for ours, theirs in sources.items():
        _rename(graph, _before_widening(graph, theirs), ours)
    kept, used = _needed(graph, set(outputs))
    del graph.node[:]
    graph.node.extend(kept)
    _keep(graph.initializer, used)
    _keep(graph.input, used)
    del graph.output[:]
    # A type of its own would have to be told: ONNX Runtime infers it.
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    del graph.value_info[:]
    if classes:
        helper.set_model_props(model, {CLASSES: msgspec.json.encode(list(classes)).decode()})
    return model


def _before_widening(graph: onnx.GraphProto, name: str) -> str:
    """What a last node only made wider: the runtime reads 32-bit numbers as they are."""
    made_by = {output: node for node in graph.node for output in node.output}
    last = made_by.get(name)
    if last is not None and last.op_type == "Cast":
        before = made_by.get(last.input[0])
        if before is not None and before.op_type.startswith("TreeEnsemble"):
            return str(last.input[0])
    return name


def _needed(graph: onnx.GraphProto, wanted: set[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that lead to what is wanted, and the names that they use."""
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
            for attribute in node.attribute:
                for inner in attribute.g.node:
                    wanted |= set(inner.input)
    return kept[::-1], wanted


def _rename(graph: onnx.GraphProto, name: str, new: str) -> str:
    for node in graph.node:
        for names in (node.input, node.output):
            for place, known in enumerate(names):
                if known == name:
                    names[place] = new
    return new


def _keep(entries: Any, used: set[str]) -> None:
    kept = [entry for entry in entries if entry.name in used]
    del entries[:]
    entries.extend(kept)


def from_doubles(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of one table of 32-bit numbers, taking 64-bit ones called ``numbers``."""
    graph = model.graph
    if len(graph.input) != 1:
        raise Unconvertible(f"the graph takes {len(graph.input)} tensors, not one")
    given = graph.input[0]
    width = given.type.tensor_type.shape.dim[-1].dim_value or None
    name = given.name
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, [None, width]))
    graph.node.insert(
        0,
        helper.make_node(
            "Cast", ["numbers"], [name], to=given.type.tensor_type.elem_type, name="narrow"
        ),
    )
    return model


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that the graph uses."""
    return next((item.version for item in model.opset_import if item.domain == ""), 0)
