"""Trains a model and registers it: read, validate, split, fit, evaluate, gate, record, package.

Nothing is written anywhere before every check of the data has passed and the fit has succeeded.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from serinus import clock, wire
from serinus.data import ingest
from serinus.data.dataset import Dataset
from serinus.data.types import ValidationReport
from serinus.errors import Conflict
from serinus.registry import folders, tracking
from serinus.registry.model_types import ModelType
from serinus.registry.service import Registry
from serinus.registry.types import Candidate, GateResult, ModelVersion
from serinus.training import gates, provenance, recording, reference
from serinus.training import spec as specs
from serinus.training.evaluation import Evaluation, evaluate
from serinus.training.fitting import Fit, learn
from serinus.training.spec import TrainingSpec

Progress: TypeAlias = Callable[[str, float], None]
"""Told the stage that begins and the share of the whole that is done, from 0 to 1."""

STAGES = (
    "read",
    "validate",
    "split",
    "fit",
    "evaluate",
    "gate",
    "profile",
    "record",
    "package",
    "register",
)

LATENCY_PREDICTIONS = 30


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a training came to.

    Args:
        version: the registered version; its ``gates`` say whether it may meet traffic.
        validation: what checking the rows found.
        evaluation: the model on the test rows.
        champion: the champion on the same rows, None if there is none or it cannot answer them.
        seconds: how long each stage took.
        classes: the share of each class in the usable rows, the most frequent first; of a number
            none.
    """

    version: ModelVersion
    validation: ValidationReport
    evaluation: Evaluation
    champion: Evaluation | None
    seconds: Mapping[str, float]
    classes: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON, for a job or ``--json``."""
        return {
            "model": self.version.model,
            "version": self.version.version,
            "run_id": self.version.run_id,
            "uri": self.version.uri,
            "passed": not self.version.failed_gates,
            "gates": [
                {"name": gate.name, "passed": gate.passed, "detail": gate.detail}
                for gate in self.version.gates
            ],
            "evaluation": self.evaluation.to_dict(),
            "champion": self.champion.to_dict() if self.champion else None,
            "validation": self.validation.to_dict(),
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }


@dataclass
class _Stopwatch:
    """Times the stages and tells each to ``progress`` as it begins."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _stage: str = ""
    _since: float = 0.0

    def enter(self, stage: str) -> None:
        moment = clock.monotonic()
        if self._stage:
            self.seconds[self._stage] = moment - self._since
        self._stage, self._since = stage, moment
        done = STAGES.index(stage) / len(STAGES) if stage in STAGES else 1.0
        self.progress(stage or "done", done)


def train(
    spec: TrainingSpec,
    *,
    registry: Registry,
    dataset: Dataset | None = None,
    progress: Progress = lambda stage, done: None,
    types: Mapping[str, ModelType] | None = None,
) -> TrainingResult:
    """Train what ``spec`` says and register the result, whatever the gates say of it.

    Args:
        spec: what to train.
        registry: where the version goes; its MLflow gets the run.
        dataset: the rows, instead of reading ``spec.data``.
        progress: told each stage as it begins.
        types: gates by model type, instead of the shipped ones.

    Raises:
        InvalidInput: the spec or the data cannot be used (all faults at once), or cannot be fitted.
        NotFound: there is no such file.
        Conflict: the version that the spec gives exists.
    """
    _require_new(spec, registry)
    started_us, watch = clock.epoch_us(), _Stopwatch(progress)
    fit = learn(spec, dataset, types, watch.enter)
    watch.enter("evaluate")
    evaluation = _evaluate(fit.model, fit, spec.seed)
    watch.enter("gate")
    theirs, verdict = _benchmark(registry, spec, fit, evaluation)
    results = (*gates.thresholds(fit.profile, evaluation), *verdict, *_budgets(fit))
    watch.enter("profile")
    candidate = replace(
        _candidate(spec, fit, evaluation, registry.newest(spec.model)),
        gates=results,
        reference=reference.profile(fit),
    )
    watch.enter("record")
    record = _record(fit, candidate, evaluation, started_us)
    logged = recording.write(record, uri=registry.tracking_uri, artifacts=registry.artifacts)
    located = _located(candidate, logged)
    watch.enter("package")
    _package(registry, fit, located)
    watch.enter("register")
    version = registry.register(located)
    watch.enter("")
    return TrainingResult(
        version=version,
        validation=fit.report,
        evaluation=evaluation,
        champion=theirs,
        seconds=watch.seconds,
        classes=_shares(fit),
    )


def _record(
    fit: Fit, candidate: Candidate, evaluation: Evaluation, started_us: int
) -> recording.Record:
    return recording.Record(
        fitted=fit.model,
        candidate=candidate,
        prepared=fit.prepared,
        train=fit.train,
        report=fit.report,
        evaluation=evaluation,
        started_us=started_us,
    )


def _shares(fit: Fit) -> dict[str, float]:
    prepared = fit.prepared
    if not prepared.classes:
        return {}
    parts = prepared.frame[prepared.target].value_counts(normalize=True)
    return {str(label): float(part) for label, part in parts.items()}


def _package(registry: Registry, fit: Fit, located: Candidate) -> None:
    rows = _held_out(fit, located)
    version = registry.upcoming(located)
    registry.package(located.uri, located.manifest, rows, version=version)


def retrain_spec(version: ModelVersion, *, data: str, reason: str) -> TrainingSpec:
    """The spec that trains a version's algorithm again on new rows, with the same signature.

    Args:
        version: the one to follow; it was made by :func:`train`.
        data: a file of labelled rows, or what to call rows given as a frame.
        reason: why, kept with the new version.
    """
    params = dict(version.params)
    keep = {"test_size": params["test_size"]} if "test_size" in params else {}
    own = params.get("algorithm_params") or {}
    return TrainingSpec(
        model=version.model,
        data=data,
        target=version.manifest.target,
        algorithm=params.get("algorithm", specs.AUTO),
        params=own,
        task=version.manifest.task,
        seed=int(params.get("seed", 0)),
        model_type=version.model_type,
        features=tuple(field.name for field in version.manifest.inputs),
        unique_rows=True,
        reason=reason,
        **keep,
    )


def retrain_frame(
    frame: pd.DataFrame,
    version: ModelVersion,
    *,
    registry: Registry,
    reason: str,
    source: str = "live",
    progress: Progress = lambda stage, done: None,
) -> TrainingResult:
    """Train a version's algorithm again on labelled live rows (columns: inputs and target).

    Exact duplicate rows count once, so that none is on both sides of the split, unless too few
    rows would be left (a few categories repeat by nature). Other columns are left out.

    Raises:
        InvalidInput: as :func:`train`.
    """
    names = [item.name for item in version.manifest.inputs] + [version.manifest.target]
    given = [name for name in names if name in frame.columns]
    dataset = ingest.from_frame(frame[given], name=f"{version.model} {source}", source=source)
    spec = retrain_spec(version, data=source, reason=reason)
    return train(spec, registry=registry, dataset=dataset, progress=progress)


# ------------------------------------------------------------------ the stages


def _require_new(spec: TrainingSpec, registry: Registry) -> None:
    specs.check(spec)
    if spec.version is not None and registry.exists(spec.model, spec.version):
        raise Conflict(
            "this version is registered already, and versions never change",
            where=f"{spec.model} {spec.version}",
            remedy="Give another version, or none for the next one.",
        )


def _evaluate(model: Any, fit: Fit, seed: int) -> Evaluation:
    truth = fit.test[fit.prepared.target]
    return evaluate(model, fit.inputs(fit.test), truth, fit.prepared.classes, seed)


def _benchmark(
    registry: Registry, spec: TrainingSpec, fit: Fit, evaluation: Evaluation
) -> tuple[Evaluation | None, list[GateResult]]:
    profile = fit.profile
    champion = registry.champion(spec.model)
    if champion is None or not profile.benchmark:
        return None, []
    try:
        # MLflow opens a store even to load a folder: its default lies in the working folder.
        tracking.configure(registry.tracking_uri)
        theirs = _evaluate(folders.load(champion.uri), fit, spec.seed)
    except Exception as error:  # a champion that fails is no fault of the model that follows it
        why = f"{type(error).__name__}: {error}".splitlines()[0]
        return None, [gates.not_comparable(profile, champion.version, why)]
    return theirs, [gates.benchmark(profile, evaluation, champion.version, theirs)]


def _located(candidate: Candidate, logged: folders.Logged) -> Candidate:
    return replace(candidate, uri=logged.uri, source=logged.source, run_id=logged.run_id)


def _held_out(fit: Fit, candidate: Candidate) -> list[tuple[wire.Cell, ...]]:
    return folders.rows_of(fit.inputs(fit.test), candidate.manifest)


def _budgets(fit: Fit) -> list[GateResult]:
    rows = fit.inputs(fit.test)
    took: list[float] = []
    # As in a gateway worker: one thread. A pool for one row costs more than it gives.
    with threadpool_limits(1):
        for position in range(LATENCY_PREDICTIONS):
            row = rows.iloc[[position % len(rows)]]
            before = clock.monotonic()
            fit.model.predict(row)
            took.append(clock.monotonic() - before)
    p95 = float(np.quantile(took, 0.95)) * 1e3
    return [gates.latency(fit.profile, p95), gates.size(fit.profile, len(pickle.dumps(fit.model)))]


def _candidate(
    spec: TrainingSpec,
    fit: Fit,
    evaluation: Evaluation,
    before: ModelVersion | None,
) -> Candidate:
    prepared, origin = fit.prepared, fit.prepared.dataset
    inputs = fit.inputs(prepared.frame)
    manifest = wire.Manifest(
        model=spec.model,
        task=prepared.task,
        inputs=folders.inputs_of(inputs, before.manifest if before else None),
        target=spec.target,
        classes=folders.classes_of(fit.model) if prepared.classes else (),
        example=folders.example_of(inputs),
    )
    reason = {"serinus.reason": spec.reason} if spec.reason else {}
    return Candidate(
        uri="",
        manifest=manifest,
        model_type=spec.model_type or prepared.task,
        version=spec.version,
        description=spec.description,
        metrics=evaluation.values(),
        params={
            "algorithm": fit.algorithm.name,
            "algorithm_params": {**fit.algorithm.defaults, **spec.params},
            "split": fit.dealt,
            "test_size": spec.test_size,
            "seed": spec.seed,
        },
        tags={**provenance.tags(Path.cwd()), **spec.tags, **reason},
        dataset={
            "name": origin.name,
            "source": origin.source,
            "digest": origin.digest,
            "rows": len(prepared.frame),
            "train_rows": len(fit.train),
            "test_rows": len(fit.test),
            "kinds": dict(prepared.kinds),
        },
    )
