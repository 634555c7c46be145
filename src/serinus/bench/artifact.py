"""A gateway's folder to measure with: versions as registration leaves them, and a routing table."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pandas as pd

from serinus import wire
from serinus.bench import recipes
from serinus.registry import folders
from serinus.registry.packaging import packager
from serinus.registry.packaging.types import Limits

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
    saved: wire.Target | None = None
    for name in alone_names(alone):
        saved = _copy(home, saved, name) if saved else _save(home, name, "logistic", seed=0)
        routes[name] = wire.Route(name, saved)
    (home / "routing.json").write_bytes(msgspec.json.encode(wire.RoutingTable(1, routes)))


def form(home: Path, kind: str) -> str:
    """In which form the champion of a kind is served: ``onnx``, ``estimator``, …."""
    table = msgspec.json.decode((home / "routing.json").read_bytes(), type=wire.RoutingTable)
    return packager.packaged(table.routes[kind].champion.uri).form


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
    """A version as it is after registration: logged, converted, and proven on rows."""
    fitted = recipes.fit(kind, seed=seed, named=True)
    rows = pd.DataFrame(recipes.training(seed)[0], columns=recipes.NAMES)
    version = f"1.{seed}.0"
    folder = home / f"{model}-{version}"
    manifest = wire.Manifest(
        model=model,
        task="classification",
        inputs=folders.inputs_of(rows),
        target="target",
        classes=folders.classes_of(fitted),
        example=folders.example_of(rows),
    )
    folders.save(fitted, manifest, folder)
    proven_on = folders.rows_of(rows, manifest)
    packager.package(str(folder), manifest, proven_on, limits=Limits(), version=version)
    return wire.Target(version, str(folder))


def _copy(home: Path, saved: wire.Target, model: str) -> wire.Target:
    """The same version as one of another model."""
    folder = home / f"{model}-{saved.version}"
    shutil.copytree(saved.uri, folder)
    manifest = msgspec.json.decode((folder / wire.MANIFEST_FILE).read_bytes(), type=wire.Manifest)
    folders.write_manifest(folder, msgspec.structs.replace(manifest, model=model))
    return wire.Target(saved.version, str(folder))
