"""The models that are served while measuring: logistic regressions over 30 numbers, made here."""

from __future__ import annotations

import warnings
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serinus import wire

FEATURES = 30
ALONE = "alone"
CANARY = "canary"
CANARY_SHARE = 0.1


def make(home: Path) -> bytes:
    """Save two versions and a routing table under ``home``; the body of a request.

    The table has two models: one whose champion is alone, and one with a canary of CANARY_SHARE.
    """
    alone = _save(home, ALONE, "1.0.0", seed=1)
    champion, challenger = (_save(home, CANARY, f"1.{seed}.0", seed=seed) for seed in (0, 1))
    table = wire.RoutingTable(
        1,
        {
            ALONE: wire.Route(ALONE, alone),
            CANARY: wire.Route(
                CANARY, champion, challenger, share=CANARY_SHARE, salt="bench", deployment="bench"
            ),
        },
    )
    (home / "routing.json").write_bytes(msgspec.json.encode(table))
    values = np.random.default_rng(7).normal(10, 3, FEATURES).round(4).tolist()
    return msgspec.json.encode({"features": dict(zip(_names(), values, strict=True))})


def _names() -> list[str]:
    return [f"feature {index:02d}" for index in range(FEATURES)]


def _save(home: Path, model: str, version: str, *, seed: int) -> wire.Target:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(rng.normal(10, 3, (500, FEATURES)), columns=_names())
    target = (rows.to_numpy() @ rng.normal(size=FEATURES) > 0).astype(int)
    target[:2] = (0, 1)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, target)
    folder = home / f"{model}-{version}"
    with warnings.catch_warnings():
        # MLflow warns of its own type hints as it is imported.
        warnings.simplefilter("ignore")
        import mlflow.sklearn  # noqa: PLC0415

        mlflow.sklearn.save_model(
            fitted,
            str(folder),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
            pip_requirements=["scikit-learn"],
        )
    manifest = wire.Manifest(
        model=model,
        task="classification",
        inputs=tuple(wire.Field(name, "double", required=True) for name in _names()),
        target="target",
        classes=(0, 1),
        example={str(name): float(value) for name, value in rows.iloc[0].items()},
    )
    (folder / wire.MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return wire.Target(version, str(folder))
