"""The peers: releases, configurations, and the form of their requests and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from serinus.bench import launch, recipes
from serinus.bench.peers.types import Peer, Place

_MODELS = (
    "scikit-learn==1.9.1",
    "xgboost-cpu==3.2.0",
    "joblib==1.6.0",
    "numpy==2.4.6",
    "pandas==3.1.1",
)
_HTTP = ("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")

_SAVE_FOR_MLFLOW = """
import joblib, mlflow.sklearn
model = joblib.load("model.joblib")
mlflow.sklearn.save_model(model, "model", serialization_format="cloudpickle")
"""


def _mlserver(place: Place, batching: dict[str, Any]) -> dict[str, Any]:
    return {
        "settings.json": {
            "debug": False,
            "host": "127.0.0.1",
            "http_port": place.port,
            "grpc_port": launch.free_port(),
            # Without a pool of processes beside the server's own: one core has no use for it.
            "parallel_workers": 0,
            "metrics_endpoint": None,
            "gzip_enabled": False,
        },
        "model-settings.json": {
            "name": "model",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
            **batching,
        },
    }


def _as_tensor(row: Sequence[float]) -> dict[str, Any]:
    data = {"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": list(row)}
    return {"inputs": [data]}


_MLSERVER = Peer(
    name="MLServer",
    requirements=("mlserver==1.7.1", "mlserver-sklearn==1.7.1", *_MODELS, *_HTTP),
    settings=lambda place: _mlserver(place, {"max_batch_size": 64, "max_batch_time": 0.001}),
    command=lambda place: [str(place.programs / "mlserver"), "start", "."],
    ready="/v2/models/model/ready",
    path="/v2/models/model/infer",
    request=_as_tensor,
    answer=lambda document: int(document["outputs"][0]["data"][0]),
)

PEERS = (
    _MLSERVER,
    # Its batching is off unless it is asked for, and that is how it is mostly measured.
    replace(
        _MLSERVER,
        name="MLServer without batching",
        settings=lambda place: _mlserver(place, {}),
        is_reference=True,
    ),
    Peer(
        name="LitServe",
        requirements=("litserve==0.2.19", *_MODELS, *_HTTP),
        program="lit.py",
        command=lambda place: [place.python, "-P", "lit.py", str(place.port)],
        ready="/health",
        path="/predict",
        request=lambda row: {"row": list(row)},
        answer=lambda document: int(document["class"]),
    ),
    Peer(
        name="BentoML",
        requirements=("bentoml==1.4.39", *_MODELS, *_HTTP),
        program="bento.py",
        command=lambda place: [
            *(str(place.programs / "bentoml"), "serve", "bento:Classifier", "--working-dir", "."),
            *("--host", "127.0.0.1", "--port", str(place.port), "--api-workers", "1"),
        ],
        ready="/readyz",
        path="/predict",
        request=lambda row: {"rows": [list(row)]},
        answer=lambda document: int(document[0]),
    ),
    Peer(
        name="mlflow models serve",
        requirements=("mlflow==3.17.2", *_MODELS, *_HTTP),
        prepare=("-c", _SAVE_FOR_MLFLOW),
        command=lambda place: [
            *(str(place.programs / "mlflow"), "models", "serve", "--model-uri", "model"),
            *("--env-manager", "local", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(place.port)),
        ],
        ready="/health",
        path="/invocations",
        # Of the four forms that it takes, the one from which it makes an array and no frame.
        request=lambda row: {"inputs": [list(row)]},
        answer=lambda document: int(document["predictions"][0]),
    ),
    Peer(
        name="FastAPI, pandas, scikit-learn",
        requirements=("fastapi==0.165.0", *_MODELS, *_HTTP),
        program="fast.py",
        command=lambda place: [place.python, "-P", "fast.py", str(place.port)],
        ready="/health",
        path="/predict",
        request=lambda row: dict(zip(recipes.NAMES, row, strict=True)),
        answer=lambda document: int(document["class"]),
        is_named=True,
        is_reference=True,
    ),
)
