"""Packages a registered version: has it converted and proven, and writes down how it is served."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec
import structlog
import yaml

from serinus import wire
from serinus.errors import InvalidInput, NotFound
from serinus.registry.packaging.types import MIN_ROWS, Limits, Row, Task
from serinus.serving.runtimes import surroundings

_log = structlog.get_logger(__name__)
_CHILD = "serinus.registry.packaging.child"
_LAST_WORDS = 400
_NATIVE = {"lightgbm", "sklearn", "xgboost"}


def package(
    uri: str,
    manifest: wire.Manifest,
    rows: Sequence[Row],
    *,
    limits: Limits,
    quantize: float | None = None,
    version: str = "VERSION",
) -> wire.Package:
    """Convert a version, prove the result on rows, and write how the version is served.

    Whatever goes wrong, the version is served as it was registered, and the package says why. A
    graph that was proven earlier stays where there are too few rows to prove anything now.

    Args:
        uri: its folder, or an address that MLflow can reach.
        manifest: of the version.
        rows: real ones.
        limits: of time and of difference.
        quantize: difference up to which a quantized graph is wanted, None for none.
        version: for the advice.
    """
    command = f"serinus models package {manifest.model} {version} --data FILE"
    with tempfile.TemporaryDirectory(prefix="serinus-package-") as temporary:
        work = Path(temporary)
        local = local_copy(uri, work)
        task = Task(
            folder=str(local),
            manifest=manifest,
            rows=_sample(rows, limits.rows),
            double=limits.double,
            single=limits.single,
            quantize=quantize,
            command=command,
        )
        made = _run(task, work, limits.seconds)
        graph = work / made.path if made.path else None
        earlier = _earlier(local)
        if earlier is not None and len(set(task.rows)) < min(MIN_ROWS, earlier.rows):
            written = _kept(earlier, made)
        else:
            written = _named(made, graph)
        install(uri, local, graph, written)
    _log.info(
        "packaged",
        model=manifest.model,
        version=version,
        form=written.form,
        attempts={attempt.form: attempt.outcome for attempt in written.attempts},
    )
    return written


def packaged(uri: str) -> wire.Package:
    """How the version in a folder is served; without attempts if nothing was tried.

    Raises:
        InvalidInput: the file cannot be read.
        NotFound: the folder cannot be reached.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = local_copy(uri, Path(temporary))
        path = folder / wire.PACKAGE_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=wire.Package)
        except FileNotFoundError:
            return wire.Package(form=_form(folder))
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidInput(
                f"the package file cannot be read ({error})",
                where=str(path),
                remedy="Package the version again: serinus models package NAME VERSION.",
            ) from error


def _run(task: Task, work: Path, seconds: float) -> wire.Package:
    """What a process of its own makes of the task: a library that crashes takes only that along.

    It runs the model's code, and learns nothing of this process's secrets: what is to be fetched
    from the store and brought there is fetched and brought here.
    """
    (work / "task").write_bytes(msgspec.msgpack.encode(task))
    # Without the working directory among the places of modules: it may hold a ``queue.py``.
    command = [sys.executable, "-P", "-m", _CHILD, str(work)]
    try:
        ended = subprocess.run(
            command,
            env=surroundings.harmless(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _original(task, f"not finished within {seconds:g} s", seconds)
    try:
        return msgspec.msgpack.decode((work / "made").read_bytes(), type=wire.Package)
    except FileNotFoundError:
        words = ended.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
        why = f"its process ended with {ended.returncode}: {words[-1][:_LAST_WORDS]}"
        return _original(task, why, 0.0)


def _original(task: Task, why: str, seconds: float) -> wire.Package:
    attempt = wire.Attempt("onnx", why, round(seconds, 3))
    return wire.Package(form=_form(Path(task.folder)), attempts=(attempt,))


def _earlier(folder: Path) -> wire.Package | None:
    """The package whose proven graph is in use; None if there is no such graph."""
    try:
        found = msgspec.json.decode((folder / wire.PACKAGE_FILE).read_bytes(), type=wire.Package)
    except (OSError, msgspec.DecodeError):
        return None
    in_use = found.form == "onnx" and (folder / found.path).is_file()
    return found if in_use else None


def _kept(earlier: wire.Package, made: wire.Package) -> wire.Package:
    """The earlier package, with what was tried now after what is in use."""
    stays = f"the graph that was proven on {earlier.rows} rows stays in use"
    used = [attempt for attempt in earlier.attempts if attempt.outcome == "used"]
    tried = [
        msgspec.structs.replace(attempt, outcome=f"{attempt.outcome}; {stays}")
        for attempt in made.attempts
    ]
    return msgspec.structs.replace(earlier, attempts=(*used, *tried))


def _form(folder: Path) -> Literal["estimator", "pyfunc"]:
    """How a worker calls the original; a folder without a model is nobody's estimator."""
    path = folder / "MLmodel"
    told = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    native = _NATIVE & set(told.get("flavors", {}))
    return "estimator" if native else "pyfunc"


def _sample(rows: Sequence[Row], most: int) -> list[Row]:
    """Every so many-th row, in their order."""
    step = max(len(rows) // most, 1)
    return list(rows[::step][:most])


def _named(made: wire.Package, graph: Path | None) -> wire.Package:
    """The package with its graph called by what is in it: a file in use never changes."""
    if graph is None:
        return made
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()[:12]
    return msgspec.structs.replace(made, path=f"serinus-{digest}.onnx")


def install(uri: str, local: Path, graph: Path | None, made: wire.Package) -> None:
    """Put the graph, then the file that names it, into the version's folder."""
    text = msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"
    if not _is_local(uri):
        store = importlib.import_module("mlflow.store.artifact.artifact_repository_registry")
        repository = store.get_artifact_repository(uri)
        if graph is not None:
            renamed = graph.with_name(made.path)
            shutil.copyfile(graph, renamed)
            repository.log_artifact(str(renamed))
        (local / wire.PACKAGE_FILE).write_bytes(text)
        repository.log_artifact(str(local / wire.PACKAGE_FILE))
        return
    if graph is not None:
        _put(local / made.path, graph.read_bytes())
    _put(local / wire.PACKAGE_FILE, text)
    for old in local.glob("serinus-*.onnx"):
        if old.name != made.path:
            old.unlink()


def _put(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _is_local(uri: str) -> bool:
    return urlsplit(uri).scheme in ("", "file")


def local_copy(uri: str, work: Path) -> Path:
    """The folder, or a copy of it."""
    if _is_local(uri):
        folder = Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
    else:
        artifacts = importlib.import_module("mlflow.artifacts")
        folder = Path(artifacts.download_artifacts(artifact_uri=uri, dst_path=str(work)))
    if not folder.is_dir():
        raise NotFound("the version's folder is gone", where=uri, remedy="Register it again.")
    return folder
