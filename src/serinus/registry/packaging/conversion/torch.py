"""PyTorch's networks."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch

from serinus import wire

_OPSET = 20


def convert(folder: Path, _flavor: Mapping[str, Any], manifest: wire.Manifest) -> onnx.ModelProto:
    """The graph of the network in an MLflow folder, with one table of 32-bit numbers."""
    mlflow = importlib.import_module("mlflow.pytorch")
    network = mlflow.load_model(str(folder), map_location="cpu")
    with contextlib.suppress(NotImplementedError):
        # An exported program answers as it was exported, and says that it cannot change.
        network.eval()
    # Two rows, as of one alone the exporter would conclude that there is always one.
    rows = torch.zeros(2, len(manifest.inputs), dtype=torch.float32)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "network.onnx"
        torch.onnx.export(
            network,
            (rows,),
            str(path),
            input_names=["rows"],
            output_names=["given"],
            dynamic_shapes=({0: torch.export.Dim("rows")},),
            opset_version=_OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
        return onnx.load(path)
