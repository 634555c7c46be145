"""Writes a finished training into MLflow: one run with everything that made the model.

Nothing is written before the training has succeeded, so that a failed one leaves no trace there;
the run's times are those of the training all the same.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.data import pandas_dataset, sources
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.entities import DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException

from serinus import clock
from serinus.data.dataset import Prepared
from serinus.data.types import ValidationReport
from serinus.errors import InvalidInput, Unavailable
from serinus.registry import folders, tracking
from serinus.registry.types import Candidate
from serinus.training.evaluation import Evaluation

_DIGEST_LENGTH = 36
_LONGEST_PARAM = 6_000


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a training leaves behind.

    Args:
        fitted: the model.
        candidate: what will be registered, but for where the model is.
        prepared: the rows.
        train: those it learned from, with the target.
        report: what checking the rows found.
        evaluation: on the test rows.
        started_us: when the training began.
    """

    fitted: Any
    candidate: Candidate
    prepared: Prepared
    train: pd.DataFrame
    report: ValidationReport
    evaluation: Evaluation
    started_us: int


def write(record: Record, *, uri: str, artifacts: Path) -> folders.Logged:
    """Log everything to a new run of the model's experiment; where the model went.

    Raises:
        Conflict: the experiment was deleted in MLflow.
        InvalidInput: the folder of artifacts cannot be written.
        Unavailable: MLflow does not take it.
    """
    _require_writable(artifacts)
    try:
        return _write(record, uri, artifacts)
    except MlflowException as error:
        raise Unavailable(
            f"MLflow does not take the run ({str(error).splitlines()[0]})",
            where="mlflow_tracking_uri",
            remedy="Check that it runs and can be written; nothing was registered.",
        ) from error


def _write(record: Record, uri: str, artifacts: Path) -> folders.Logged:
    store = tracking.client(uri)
    candidate = record.candidate
    name = candidate.manifest.model
    experiment = tracking.experiment(uri, name, artifacts)
    algorithm = str(candidate.params.get("algorithm", "model"))
    run = store.create_run(
        experiment,
        start_time=record.started_us // 1_000,
        tags={**candidate.tags, "mlflow.runName": f"{name} {algorithm}"},
    )
    run_id = run.info.run_id
    try:
        store.log_batch(run_id, metrics=_metrics(record), params=_params(record))
        store.log_inputs(run_id, [_dataset(record)])
        store.log_dict(run_id, record.report.to_dict(), "validation.json")
        store.log_dict(run_id, record.evaluation.to_dict(), "evaluation.json")
        store.log_dict(run_id, {"gates": _gates(record)}, "gates.json")
        package = folders.log(
            record.fitted, candidate.manifest, run_id=run_id, uri=uri, artifacts=artifacts
        )
    except BaseException:
        store.set_terminated(run_id, "FAILED")
        raise
    return package


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InvalidInput(
            f"the folder of models cannot be written ({error.strerror})",
            where=str(folder),
            remedy="Give a home folder that can be written; nothing was registered.",
        ) from error


def _metrics(record: Record) -> list[Metric]:
    at = clock.epoch_us() // 1_000
    found: list[Metric] = []
    for name, estimate in record.evaluation.metrics.items():
        for key, value in (
            (name, estimate.value),
            (f"{name}_low", estimate.low),
            (f"{name}_high", estimate.high),
        ):
            if value == value:  # noqa: PLR0124 - not NaN
                found.append(Metric(key, value, at, 0))
    return found


def _params(record: Record) -> list[Param]:
    return [
        Param(name, (value if isinstance(value, str) else json.dumps(value))[:_LONGEST_PARAM])
        for name, value in record.candidate.params.items()
    ]


def _dataset(record: Record) -> DatasetInput:
    origin = record.prepared.dataset
    source = (
        sources.LocalArtifactDatasetSource(origin.source)  # type: ignore[attr-defined]
        if Path(origin.source).is_file()
        else CodeDatasetSource({"mlflow.source.name": origin.source})
    )
    dataset = pandas_dataset.from_pandas(
        record.train,
        source=source,
        targets=record.prepared.target,
        name=origin.name[:500],
        digest=origin.digest[:_DIGEST_LENGTH],
    )
    with warnings.catch_warnings():
        # MLflow's hint on whole numbers is about serving; this schema only describes the rows.
        warnings.filterwarnings("ignore", "Hint: Inferred schema", UserWarning)
        entity = dataset._to_mlflow_entity()
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training")])


def _gates(record: Record) -> list[dict[str, Any]]:
    return [
        {"name": gate.name, "passed": gate.passed, "detail": gate.detail}
        for gate in record.candidate.gates
    ]
