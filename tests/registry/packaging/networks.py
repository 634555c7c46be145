"""Small networks as people log them to MLflow."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Keras computes with PyTorch here; without being told it looks for TensorFlow.
os.environ.setdefault("KERAS_BACKEND", "torch")

ROWS = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
NAMES = ["a", "b", "c", "d"]
# These libraries warn of each other's ways, MLflow of pickles and of its own type hints.
QUIET = pytest.mark.filterwarnings("ignore")


def torch_network(outputs: int, *, softmax: bool = False) -> Any:
    """A network with one hidden layer."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make deep")
    torch.manual_seed(0)
    layers = [torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs)]
    return torch.nn.Sequential(*layers, *([torch.nn.Softmax(dim=1)] if softmax else [])).eval()


def keras_network(outputs: int) -> Any:
    """The same of Keras; several outputs are probabilities."""
    pytest.importorskip("torch", reason="PyTorch is not installed: make deep")
    keras = pytest.importorskip("keras", reason="Keras is not installed: make deep")
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(outputs, activation="softmax" if outputs > 1 else None),
        ]
    )


def save_torch(
    folder: Path, network: Any, *, named: bool = False, form: str = "pickle", **more: Any
) -> str:
    """Log a network with the signature of a tensor, or of named columns; its folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pytorch
        import pandas as pd
        import torch

        answers = network(torch.from_numpy(ROWS)).detach().numpy()
        rows = pd.DataFrame(ROWS, columns=NAMES) if named else ROWS
        mlflow.pytorch.save_model(
            network,
            str(folder),
            signature=mlflow.models.infer_signature(rows, answers),
            input_example=rows,
            serialization_format=form,
            pip_requirements=["torch"],
            **more,
        )
    return str(folder)


def save_keras(folder: Path, network: Any) -> str:
    """Log a network of Keras with the signature of a tensor; its folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.keras

        # Its writer of examples does not make the folder.
        folder.mkdir()
        mlflow.keras.save_model(
            network,
            str(folder),
            signature=mlflow.models.infer_signature(ROWS, network.predict(ROWS, verbose=0)),
            input_example=ROWS,
            pip_requirements=["keras"],
        )
    return str(folder)
