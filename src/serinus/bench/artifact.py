"""A gateway's folder to measure with: versions as registration leaves them, and a routing table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pandas as pd

from serinus import wire
from serinus.bench import recipes

ALONE = "alone"
CANARY_SHARE = 0.1
BATCH_ROWS = 1_000
BATCHES = 8


def make(home: Path, kinds: Sequence[str] = ("logistic",), *, alone: int = 0) -> None:
    """Save versions and the routing table of them under ``home``.

    Args:
        home: an empty folder.
        kinds: each becomes a model of that name, a champion with a canary of CANARY_SHARE.
        alone: so many further models, small ones, whose champion is alone.
    """
    routes: dict[str, wire.Route] = {}
    for kind in kinds:
        champion, challenger = (_save(home, kind, kind, seed=seed) for seed in (0, 1))
        routes[kind] = wire.Route(
            kind, champion, challenger, share=CANARY_SHARE, salt="bench", deployment="bench"
        )
    for name in alone_names(alone):
        routes[name] = wire.Route(name, _save(home, name, "logistic", seed=len(routes)))
    (home / "routing.json").write_bytes(msgspec.json.encode(wire.RoutingTable(1, routes)))


def alone_names(count: int) -> list[str]:
    """The names of the models whose champion is alone."""
    return [f"{ALONE}-{index}" for index in range(count)]


def bodies() -> tuple[bytes, ...]:
    """Requests of one row each, no two the same."""
    return tuple(msgspec.json.encode(row) for row in _requests())


def batches() -> tuple[bytes, ...]:
    """Requests of BATCH_ROWS rows each."""
    rows = _requests() * (1 + BATCH_ROWS * BATCHES // recipes.ROWS)
    return tuple(
        msgspec.json.encode({"requests": rows[start : start + BATCH_ROWS]})
        for start in range(0, BATCH_ROWS * BATCHES, BATCH_ROWS)
    )


def _requests() -> list[dict[str, dict[str, float]]]:
    return [
        {"features": dict(zip(recipes.NAMES, row, strict=True))} for row in recipes.asked().tolist()
    ]


def _save(home: Path, model: str, kind: str, *, seed: int) -> wire.Target:
    fitted = recipes.fit(kind, seed=seed, named=True)
    rows = pd.DataFrame(recipes.training(seed)[0], columns=recipes.NAMES)
    version = f"1.{seed}.0"
    folder = home / f"{model}-{version}"
    with warnings.catch_warnings():
        # MLflow warns of its own type hints as it is imported.
        warnings.simplefilter("ignore")
        import mlflow.sklearn  # noqa: PLC0415

        mlflow.sklearn.save_model(
            fitted,
            str(folder),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
            pip_requirements=["scikit-learn"],
        )
    manifest = wire.Manifest(
        model=model,
        task="classification",
        inputs=tuple(wire.Field(name, "double", required=True) for name in recipes.NAMES),
        target="target",
        classes=(0, 1),
        example={str(name): float(value) for name, value in rows.iloc[0].items()},
    )
    (folder / wire.MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return wire.Target(version, str(folder))
