"""A registered version's folder -> its graph, whatever library it is of."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml

from serinus import wire
from serinus.registry.packaging.conversion import graphs
from serinus.registry.packaging.types import Unconvertible
from serinus.serving.runtimes import natives
from serinus.serving.runtimes.families import highest_decides

_NETWORKS = {"pytorch": "torch", "keras": "keras"}
"""By MLflow's flavor the library, and the module here that knows it."""


@dataclass(frozen=True)
class Graph:
    """A converted version.

    Args:
        model: as the gateway's runtime takes it.
        is_single: whether it computes in 32 bits.
    """

    model: onnx.ModelProto
    is_single: bool


def graph_of(folder: Path, manifest: wire.Manifest) -> Graph:
    """The version in ``folder`` as a graph.

    Raises:
        Unconvertible: saying why it cannot be one.
    """
    flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    network = next((name for name in _NETWORKS if name in flavors), "")
    if network:
        if any(field.type == "string" for field in manifest.inputs):
            raise Unconvertible("a network takes numbers, and this version has texts")
        library = _NETWORKS[network]
        module = optional(f"serinus.registry.packaging.conversion.{library}", library)
        model = module.convert(folder, flavors[network], manifest)
        return Graph(of_network(model, manifest), is_single=True)
    fitted = natives.load(folder, flavors)
    if fitted is None:
        raise Unconvertible("it is code of its own, which only Python runs")
    convert = optional("serinus.registry.packaging.conversion.sklearn", "skl2onnx").convert
    return Graph(of_estimator(fitted, convert(fitted, manifest), manifest), _is_single(fitted))


def optional(module: str, library: str) -> Any:
    """A module that needs a library which may be missing.

    Raises:
        Unconvertible: it is missing.
    """
    try:
        importlib.import_module(library)
        return importlib.import_module(module)
    except ImportError as error:
        raise Unconvertible(f"{library} is not installed here ({error})") from error


def of_estimator(fitted: Any, model: onnx.ModelProto, manifest: wire.Manifest) -> onnx.ModelProto:
    """A converter's graph of an estimator, as the runtime takes it."""
    names = [output.name for output in model.graph.output]
    if manifest.task == "regression":
        return graphs.finish(model, {"value": names[0]})
    classes = np.asarray(fitted.classes_).tolist()
    if not hasattr(fitted, "predict_proba"):
        return graphs.finish(model, {"label": names[0]}, classes)
    if highest_decides(fitted):
        return graphs.finish(model, {"scores": names[1]}, classes)
    return graphs.finish(model, {"scores": names[1], "label": names[0]}, classes)


def of_network(model: onnx.ModelProto, manifest: wire.Manifest) -> onnx.ModelProto:
    """An exporter's graph of a network, as the runtime takes it."""
    name = model.graph.output[0].name
    model = graphs.from_doubles(model)
    if manifest.task == "regression":
        return graphs.finish(model, {"value": name})
    return graphs.finish(model, {"scores": name}, manifest.classes)


def _is_single(fitted: Any) -> bool:
    """XGBoost computes in 32 bits."""
    return "XGB" in repr(fitted)
