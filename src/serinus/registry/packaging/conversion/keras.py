"""Keras's networks, whatever backend computes them."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import onnx

from serinus import wire


def convert(folder: Path, _flavor: Mapping[str, Any], manifest: wire.Manifest) -> onnx.ModelProto:
    """The graph of the network in an MLflow folder, with one table of 32-bit numbers."""
    network = importlib.import_module("mlflow.keras").load_model(str(folder))
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "network.onnx"
        network.export(
            str(path),
            format="onnx",
            verbose=False,
            input_signature=[keras.InputSpec(shape=(None, len(manifest.inputs)), dtype="float32")],
        )
        return onnx.load(path)
