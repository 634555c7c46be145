"""Opens a version's artifact folder: ``serinus.json`` and ``MLmodel`` -> a runtime, tried out.

MLflow itself is imported only for models that need it: for scikit-learn its loader adds
nothing but three seconds to a worker's start.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import yaml

from serinus.errors import InvalidInput, SerinusError
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.probes import probe_rows
from serinus.serving.runtimes.pyfunc import PyfuncRuntime
from serinus.serving.runtimes.types import Runtime
from serinus.wire import MANIFEST_FILE, Manifest, Target

_PROBES = 16


def load(model: str, target: Target) -> Runtime:
    """Load a version and answer its own example with it once.

    Args:
        model: the name that the manifest must bear.
        target: the version and its folder (a path, ``file:`` or any address MLflow can fetch).

    Raises:
        InvalidInput: the folder holds no such version, or the version cannot be used.
    """
    try:
        folder = _folder(target.uri)
        manifest = _manifest(folder, model)
        runtime = _open(folder, manifest)
        _try_out(runtime)
    except SerinusError:
        raise
    except Exception as error:
        # Whatever a model's own code raises must not end the gateway.
        raise InvalidInput(
            f"the version cannot be loaded ({type(error).__name__}: {error})",
            where=f"{model}@{target.version}",
            remedy="Register it again, or install the packages that it needs.",
        ) from error
    return runtime


def _folder(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "":
        return Path(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    artifacts = importlib.import_module("mlflow.artifacts")
    return Path(artifacts.download_artifacts(artifact_uri=uri))


def _manifest(folder: Path, model: str) -> Manifest:
    path = folder / MANIFEST_FILE
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"the manifest cannot be read ({error})",
            where=str(path),
            remedy="Register the version again.",
        ) from error
    if manifest.model != model:
        raise InvalidInput(
            f"this is a version of {manifest.model!r}, not of {model!r}", where=str(path)
        )
    return manifest


def _open(folder: Path, manifest: Manifest) -> Runtime:
    flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    native = flavors.get("sklearn")
    if native and not flavors.get("python_function", {}).get("code"):
        model = _unpickle(folder, native)
        if hasattr(model, "predict"):
            return SklearnRuntime(model, manifest)
    pyfunc = importlib.import_module("mlflow.pyfunc")
    return PyfuncRuntime(pyfunc.load_model(str(folder)), manifest)


def _unpickle(folder: Path, flavor: Mapping[str, Any]) -> Any:
    path = folder / flavor["pickled_model"]
    form = flavor.get("serialization_format", "pickle")
    if form == "skops":
        skops = importlib.import_module("skops.io")
        return skops.load(path, trusted=flavor.get("skops_trusted_types"))
    # cloudpickle writes what pickle reads, given that cloudpickle is there to be imported.
    with path.open("rb") as file:
        return pickle.load(file)


def _try_out(runtime: Runtime) -> None:
    """Answer probe rows: lazy parts get built now, and a version that cannot answer is not used."""
    manifest = runtime.manifest
    probes = probe_rows(manifest, _PROBES)
    if isinstance(runtime, SklearnRuntime):
        runtime.use_arrays(probes)
    if manifest.example:
        outcome = runtime.answer(probes[:1])[0]
        if isinstance(outcome, str):
            raise InvalidInput(
                f"the version gives no usable answer to its own example ({outcome})",
                where=manifest.model,
                remedy="Register a version that answers its example.",
            )
