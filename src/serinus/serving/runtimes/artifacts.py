"""Opens a version's artifact folder: ``serinus.json`` and ``MLmodel`` -> a runtime, tried out.

A library is imported when the first version needs it. A graph needs neither pandas nor
scikit-learn, and MLflow's loader adds nothing to scikit-learn but three seconds of start.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import msgspec
import yaml

from serinus.errors import InvalidInput, SerinusError
from serinus.serving.runtimes import natives
from serinus.serving.runtimes.probes import probe_rows
from serinus.serving.runtimes.types import ProcessLimits, Runtime
from serinus.serving.types import Features
from serinus.wire import MANIFEST_FILE, PACKAGE_FILE, Manifest, Package, Target

_PROBES = 16
_log = logging.getLogger(__name__)
_ALONE = threading.Lock()
# Made here, in one thread: msgspec may crash if several threads meet a type of it at once.
_MANIFESTS = msgspec.json.Decoder(Manifest)
_PACKAGES = msgspec.json.Decoder(Package)


def load(
    model: str, target: Target, limits: ProcessLimits | None = None, *, confined: bool = False
) -> Runtime:
    """Load a version and answer its own example with it once.

    Args:
        model: the name that the manifest must bear.
        target: the version and its folder (a path, ``file:`` or any address MLflow can fetch).
        limits: of its process, if it runs in one of its own.
        confined: whether none of its code may run in this process: all but a graph, which has
            none, runs in one of its own.

    Raises:
        InvalidInput: the folder holds no such version, or the version cannot be used.
    """
    try:
        folder = _folder(target.uri)
        manifest = _manifest(folder, model)
        runtime = _open(folder, manifest, target, limits, confined=confined)
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


def manifest_at_hand(model: str, target: Target) -> Manifest | None:
    """The manifest of a version that is not loaded; None where it would have to be fetched."""
    try:
        is_here = urlsplit(target.uri).scheme in ("", "file")
        return _manifest(_folder(target.uri), model) if is_here else None
    except (SerinusError, ValueError):
        return None


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
        manifest = _MANIFESTS.decode(path.read_bytes())
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


def _open(
    folder: Path,
    manifest: Manifest,
    target: Target,
    limits: ProcessLimits | None,
    *,
    confined: bool,
) -> Runtime:
    package = package_of(folder)
    if package is not None and package.form == "onnx":
        graph = _inside(folder, package.path)
        try:
            return open_graph(graph, manifest)
        except Exception as error:
            # The original is beside it, and it answers the same.
            label = f"{manifest.model}@{target.version}"
            _log.warning("%s is served by its original: its graph fails (%s)", label, error)
    if package is not None and package.form == "process":
        _check_interpreter(package.python, limits.environments if limits else None)
        return open_process(folder, manifest, package.python, limits)
    if confined:
        return open_process(folder, manifest, "", limits)
    return open_original(folder, manifest)


def size(target: Target) -> int:
    """How many bytes of files a version is loaded from: what it will about take in memory.

    0 if that cannot be told: loading it will say why.
    """
    try:
        folder = _folder(target.uri)
        package = package_of(folder)
        if package is not None and package.form == "onnx":
            return _inside(folder, package.path).stat().st_size
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except (OSError, SerinusError):
        return 0


def _inside(folder: Path, path: str) -> Path:
    """A file that a package names; whoever may write a version's folder names none of another's."""
    found = (folder / path).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise InvalidInput(
            f"the package names a file outside of its folder: {path}",
            where=str(folder / PACKAGE_FILE),
            remedy="Package the version again: serinus models package NAME VERSION.",
        )
    return found


def _check_interpreter(python: str, environments: Path | None) -> None:
    """Refuse a program that is neither this process's interpreter nor one that was made for it."""
    if environments is None or python in ("", sys.executable):
        return
    # The interpreter itself may be a link to one outside; the folder that it is in is none.
    place = Path(python).parent.resolve()
    if not (Path(python).is_absolute() and place.is_relative_to(environments.resolve())):
        raise InvalidInput(
            f"the package names an interpreter that is in no environment made here: {python}",
            where=str(environments),
            remedy="Package the version again on this machine: serinus models package.",
        )


def package_of(folder: Path) -> Package | None:
    """In which form the version is served; None if nothing but the original is there.

    Raises:
        InvalidInput: the file cannot be read.
    """
    path = folder / PACKAGE_FILE
    try:
        return _PACKAGES.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"the package file cannot be read ({error})",
            where=str(path),
            remedy="Package the version again: serinus models package NAME VERSION.",
        ) from error


def open_graph(path: Path, manifest: Manifest) -> Runtime:
    """A version's ONNX graph, tried out.

    Raises:
        InvalidInput: it is no graph of this manifest, or does not answer the example.
    """
    runtime: Runtime = _module("onnx").OnnxRuntime(path, manifest)
    _try_out(runtime, probe_rows(manifest, _PROBES))
    return runtime


def open_original(folder: Path, manifest: Manifest) -> Runtime:
    """The model as it was registered, tried out.

    Raises:
        InvalidInput: it does not answer its example.
    """
    flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    probes = probe_rows(manifest, _PROBES)
    model = _imported(lambda: natives.load(folder, flavors))
    if model is not None:
        estimator = _module("estimator").SklearnRuntime(model, manifest)
        estimator.use_arrays(probes)
        _try_out(estimator, probes)
        return cast("Runtime", estimator)
    loaded = _imported(lambda: importlib.import_module("mlflow.pyfunc").load_model(str(folder)))
    runtime: Runtime = _module("pyfunc").PyfuncRuntime(loaded, manifest)
    _try_out(runtime, probes)
    return runtime


def open_process(
    folder: Path, manifest: Manifest, python: str, limits: ProcessLimits | None = None
) -> Runtime:
    """The model as it was registered, in a process of its own, tried out.

    Args:
        folder: of the version.
        manifest: of the version.
        python: the interpreter of its environment; empty for this process's own.
        limits: of the process.

    Raises:
        InvalidInput: the process does not start, or does not answer the example.
    """
    runtime: Runtime = _module("process").ProcessRuntime(manifest, folder, python, limits)
    try:
        _try_out(runtime, probe_rows(manifest, _PROBES))
    except Exception:
        runtime.close()
        raise
    return runtime


def _imported(load: Callable[[], Any]) -> Any:
    """Call what imports libraries, in one of several threads.

    Two threads that import parts of one library whose parts import each other may meet one that
    is half there. Whoever does tries again alone.
    """
    try:
        return load()
    except (ImportError, AttributeError) as error:
        if "partially initialized" not in str(error):
            raise
    with _ALONE:
        return load()


def _module(name: str) -> Any:
    return importlib.import_module(f"serinus.serving.runtimes.{name}")


def _try_out(runtime: Runtime, probes: list[Features]) -> None:
    """Answer a probe row: lazy parts get built now, and a version that cannot is not used."""
    if runtime.manifest.example:
        outcome = runtime.answer(probes[:1])[0]
        if isinstance(outcome, str):
            raise InvalidInput(
                f"the version gives no usable answer to its own example ({outcome})",
                where=runtime.manifest.model,
                remedy="Register a version that answers its example.",
            )
