"""MLflow's stores: where they are, and how to reach what they hold."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from serinus.errors import Conflict, InvalidInput, Unavailable

with warnings.catch_warnings():
    # MLflow warns of its own type hints while it loads; better here than in the middle of a run.
    warnings.simplefilter("ignore")
    import mlflow.pyfunc

_NOISY = ("mlflow", "alembic")
_READ_DIRECTLY = ("s3", "gs", "abfss", "wasbs")


def configure(uri: str) -> None:
    """Point MLflow's tracking and registry at ``uri`` and keep its log to errors.

    Cheap and idempotent; the store itself is opened (and a new one migrated) at first use. Its
    telemetry is switched off by the variable ``MLFLOW_DISABLE_TELEMETRY=true``, which must be in
    the environment before MLflow is first imported.

    Raises:
        InvalidInput: the address cannot be read, or its folder cannot be made.
    """
    quiet()
    if is_database(uri) and uri.startswith("sqlite:///"):
        _make_folder(Path(make_url(uri).database or "").absolute().parent)
    if mlflow.get_tracking_uri() != uri:
        mlflow.set_tracking_uri(uri)
    if mlflow.get_registry_uri() != uri:
        mlflow.set_registry_uri(uri)


def quiet() -> None:
    """Keep MLflow's log to errors."""
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)


def client(uri: str) -> mlflow.MlflowClient:
    """A client of the store at ``uri``, which becomes the process's (see :func:`configure`).

    Raises:
        InvalidInput: the address cannot be read, or its folder cannot be made.
        Unavailable: the database does not answer (MLflow asks it for about 100 seconds).
    """
    configure(uri)
    try:
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except SQLAlchemyError as error:
        raise Unavailable(
            f"MLflow's database does not answer ({type(error).__name__})",
            where="mlflow_tracking_uri",
            remedy="Check that the server runs, or that the folder can be written.",
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"the folder of MLflow's database cannot be made ({error.strerror})",
            where=str(folder),
            remedy="Give a folder that can be written.",
        ) from error


def is_database(uri: str) -> bool:
    """Whether the address is of a database that MLflow opens itself, and of no server.

    Raises:
        InvalidInput: the address cannot be read.
    """
    if uri.startswith(("http://", "https://")):
        return False
    try:
        make_url(uri)
    except ArgumentError as error:
        raise InvalidInput(
            "the MLflow tracking address cannot be read",
            where="mlflow_tracking_uri",
            remedy="Use sqlite:///FILE, postgresql://USER@HOST/NAME, or http://HOST:PORT.",
        ) from error
    return True


def experiment(uri: str, name: str, artifacts: Path) -> str:
    """The id of the experiment, made if it is not there; its artifacts lie under ``artifacts``.

    A tracking server keeps artifacts where it was told to; ``artifacts`` is not used then.

    Raises:
        Conflict: an experiment of this name was deleted in MLflow and not yet removed.
    """
    store = client(uri)
    found = store.get_experiment_by_name(name)
    if found is None:
        location = artifacts.absolute().as_uri() if is_database(uri) else None
        try:
            return store.create_experiment(name, artifact_location=location)
        except MlflowException:  # another process was faster
            found = store.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise Conflict(
            "this MLflow experiment was deleted",
            where=name,
            remedy=f"Restore it: mlflow experiments restore -x {found.experiment_id}.",
        )
    return str(found.experiment_id)


def folder(location: str, downloads: Path) -> str:
    """The absolute folder of an artifact location, or its s3 (gs, …) address.

    Artifacts that only a tracking server can hand out are downloaded to a folder in ``downloads``.
    """
    parsed = urlparse(location)
    if parsed.scheme in ("", "file"):
        return str(Path(unquote(parsed.path)).absolute())
    if parsed.scheme in _READ_DIRECTLY:
        return location
    name = parsed.path.strip("/").replace("/", "-")
    target = downloads.absolute() / "downloaded" / name
    target.mkdir(parents=True, exist_ok=True)
    return str(mlflow.artifacts.download_artifacts(artifact_uri=location, dst_path=str(target)))
