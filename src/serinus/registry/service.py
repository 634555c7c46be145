"""The registry: registers versions, moves their stages, keeps MLflow in step."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, Engine

from serinus import wire
from serinus.deferred import Deferred
from serinus.errors import Conflict, NotFound, Unavailable
from serinus.registry import lineage, names, repository, stages, versions
from serinus.registry.packaging import packager
from serinus.registry.packaging.types import Limits, Row
from serinus.registry.types import (
    Candidate,
    Comparison,
    Model,
    ModelVersion,
    Stage,
    StageChange,
)
from serinus.store.engine import reading

if TYPE_CHECKING:
    from serinus.registry import folders, imported, mirror, tracking
else:
    folders = Deferred("serinus.registry.folders")
    imported = Deferred("serinus.registry.imported")
    mirror = Deferred("serinus.registry.mirror")
    tracking = Deferred("serinus.registry.tracking")

_log = structlog.get_logger(__name__)

_MOST_NAMED = 10


class Registry:
    """Model versions in the database, with MLflow's registry as their mirror.

    Args:
        engine: the migrated database.
        tracking_uri: MLflow's address.
        artifacts: folder under which models are kept.
        packaging: what converting a version may take; by default none is converted.
    """

    def __init__(
        self,
        engine: Engine,
        tracking_uri: str,
        artifacts: Path,
        packaging: Limits | None = None,
    ) -> None:
        self.engine = engine
        self.tracking_uri = tracking_uri
        self.artifacts = artifacts
        self.packaging = packaging
        self._follower = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")

    # -------------------------------------------------------------- registering

    def register(self, candidate: Candidate) -> ModelVersion:
        """Make the candidate a version in stage None, and show it in MLflow.

        If MLflow cannot follow just now, the version stands with an empty ``mlflow_version``;
        the next :meth:`mirror` catches up.

        Raises:
            InvalidInput: the name or the given version is malformed.
            NotFound: the given parent is no version.
            Conflict: the given version exists.
        """
        name = names.check(candidate.manifest.model)
        if candidate.version is not None:
            versions.parse(candidate.version)
        with self.engine.begin() as connection:
            repository.lock_model(connection, candidate)
            parent = self._parent(connection, candidate)
            number = candidate.version or self._next(connection, candidate)
            tagged = replace(
                candidate,
                tags={**candidate.tags, mirror.TAG_SOURCE: candidate.source or candidate.uri},
            )
            repository.insert_version(connection, tagged, number, parent)
        self._follow(name)
        return self.get(name, number)

    def register_object(
        self, fitted: folders.Predictor, candidate: Candidate, rows: Sequence[Row] = ()
    ) -> ModelVersion:
        """Log a fitted Python object to a new MLflow run and register it.

        Args:
            fitted: anything picklable with ``predict(rows)``.
            candidate: as for :meth:`register`, with an empty ``uri``; its manifest tells the
                inputs (:func:`folders.inputs_of`) and classes (:func:`folders.classes_of`).
            rows: real ones (:func:`folders.rows_of`), on which its ONNX graph is proven.
        """
        name = names.check(candidate.manifest.model)
        experiment = tracking.experiment(self.tracking_uri, name, self.artifacts)
        store = tracking.client(self.tracking_uri)
        run = store.create_run(experiment, tags={"mlflow.runName": f"{name} registered"})
        for key, value in candidate.params.items():
            store.log_param(run.info.run_id, key, value)
        for key, metric in candidate.metrics.items():
            store.log_metric(run.info.run_id, key, metric)
        logged = folders.log(
            fitted,
            candidate.manifest,
            run_id=run.info.run_id,
            uri=self.tracking_uri,
            artifacts=self.artifacts,
        )
        version = self.upcoming(candidate)
        self.package(logged.uri, candidate.manifest, rows, version=version)
        return self.register(
            replace(candidate, uri=logged.uri, source=logged.source, run_id=logged.run_id)
        )

    def register_uri(
        self, model_uri: str, *, model: str, target: str, description: str = ""
    ) -> ModelVersion:
        """Register a model that MLflow has (``runs:/…``, ``models:/…``, a folder) as a copy.

        Its inputs come from its signature, its metrics and parameters from its run.

        Raises:
            NotFound: there is no such model.
            InvalidInput: the name is malformed, or the model has no usable signature.
        """
        name = names.check(model)
        store = tracking.client(self.tracking_uri)
        manifest, run_id = imported.manifest_from(model_uri, name, target)
        data = store.get_run(run_id).data if run_id else None
        uri = imported.bring_in(model_uri, manifest, artifacts=self.artifacts)
        candidate = Candidate(
            uri=uri,
            source=model_uri,
            manifest=manifest,
            model_type=manifest.task,
            run_id=run_id,
            description=description,
            metrics=dict(data.metrics) if data else {},
            params=dict(data.params) if data else {},
        )
        rows = imported.example_rows(uri, manifest)
        self.package(uri, manifest, rows, version=self.upcoming(candidate))
        return self.register(candidate)

    def upcoming(self, candidate: Candidate) -> str:
        """The version that the candidate becomes, if none of its model is registered before it."""
        with reading(self.engine) as connection:
            return candidate.version or self._next(connection, candidate)

    def package(
        self,
        uri: str,
        manifest: wire.Manifest,
        rows: Sequence[Row],
        *,
        version: str,
        quantize: float | None = None,
    ) -> wire.Package | None:
        """Convert what lies at ``uri`` for serving, prove it on ``rows``, and write it there.

        It fails for no fault of the model: then the original is served, and the package says why.

        Args:
            uri: of a version, or of what becomes one.
            manifest: of it.
            rows: real ones; fewer than a few dozen different ones prove nothing.
            version: that it is or will be, for the advice in what is written.
            quantize: largest difference that a quantized graph may show, None for none.

        Returns:
            None if this installation converts nothing.
        """
        if self.packaging is None or self.packaging.seconds <= 0:
            return None
        return packager.package(
            uri, manifest, rows, limits=self.packaging, quantize=quantize, version=version
        )

    # -------------------------------------------------------------- asking

    def get(self, model: str, version: str) -> ModelVersion:
        """The version.

        Raises:
            NotFound: naming the versions that there are, or the models.
        """
        with reading(self.engine) as connection:
            return self._get(connection, model, version)

    def exists(self, model: str, version: str) -> bool:
        """Whether the model has that version."""
        with reading(self.engine) as connection:
            return repository.find(connection, model, version) is not None

    def models(self, limit: int = 100, after: str | None = None) -> list[Model]:
        """Models by name; the page after the name ``after``."""
        with reading(self.engine) as connection:
            return repository.page_of_models(connection, limit, after)

    def versions(
        self, model: str, limit: int = 100, after: str | None = None
    ) -> list[ModelVersion]:
        """A model's versions, newest first; the page after the version ``after``.

        Raises:
            NotFound: there is no such model, or no version ``after``.
        """
        with reading(self.engine) as connection:
            if after is not None:
                self._get(connection, model, after)
            found = repository.page_of_versions(connection, model, limit, after)
            if not found and after is None and not repository.names(connection, model):
                raise self._unknown_model(connection, model)
            return found

    def newest(self, model: str) -> ModelVersion | None:
        """The version with the highest number, None of an unknown model."""
        with reading(self.engine) as connection:
            return self._newest(connection, model)

    def champion(self, model: str) -> ModelVersion | None:
        """The version that holds Production, None if none does."""
        with reading(self.engine) as connection:
            return self._champion(connection, model)

    def champions(self) -> dict[str, ModelVersion]:
        """By model, the version that holds Production."""
        with reading(self.engine) as connection:
            held = repository.in_stage(connection, Stage.PRODUCTION)
        return {version.model: version for version in held}

    def history(self, model: str, limit: int = 100) -> list[StageChange]:
        """The model's stage changes, newest first."""
        with reading(self.engine) as connection:
            return repository.history(connection, model, limit)

    def lineage(self, model: str, version: str) -> dict[str, Any]:
        """Where the version came from, as plain JSON."""
        return lineage.document(self.get(model, version))

    def compare(self, model: str, a: str, b: str) -> Comparison:
        """Two versions side by side, each with the figures it was registered with.

        Raises:
            NotFound: one of them does not exist.
        """
        first, second = self.get(model, a), self.get(model, b)
        metrics = {
            name: (first.metrics.get(name), second.metrics.get(name))
            for name in sorted({*first.metrics, *second.metrics})
        }
        params = {
            name: (first.params.get(name), second.params.get(name))
            for name in sorted({*first.params, *second.params})
            if first.params.get(name) != second.params.get(name)
        }
        digest = first.dataset.get("digest")
        return Comparison(
            first,
            second,
            metrics,
            params,
            same_data=digest is not None and digest == second.dataset.get("digest"),
            breaks=versions.breaks(first.manifest, second.manifest),
        )

    # -------------------------------------------------------------- stages

    def transition(
        self,
        connection: Connection | None,
        model: str,
        version: str,
        to: Stage,
        *,
        actor: str,
        reason: str,
    ) -> ModelVersion:
        """Move a version to a stage; entering Production archives the version that held it.

        Idempotent: a version that stands there already is returned as it is, nothing is written.

        Args:
            connection: the caller's transaction, who then calls :meth:`mirror` after the commit;
                None for one of its own, mirrored at once.

        Raises:
            NotFound: there is no such version.
            Conflict: the table has no such move, a gate forbids it, or the stage moved meanwhile.
        """
        names.check_actor(actor)
        if connection is None:
            with self.engine.begin() as own:
                moved = self.transition(own, model, version, to, actor=actor, reason=reason)
            self._follow(model)
            return moved
        repository.hold_model(connection, model)
        row = self._get(connection, model, version)
        if row.stage is to:
            return row
        stages.check(model, version, row.stage, to, row.failed_gates)
        if to is Stage.PRODUCTION:
            for holder in repository.in_stage(connection, Stage.PRODUCTION, model):
                _move(connection, holder, Stage.ARCHIVED, actor, f"replaced by {version}")
        _move(connection, row, to, actor, reason)
        return replace(row, stage=to)

    def mirror(self, model: str) -> None:
        """Bring MLflow's registry to what the database says of the model; idempotent.

        Raises:
            Unavailable: MLflow does not follow; calling again later catches up.
        """
        mirror.follow(self.engine, self.tracking_uri, model)

    def mirror_soon(self, model: str) -> None:
        """The same, in a thread of its own: MLflow may take long, and traffic must not wait.

        What MLflow refuses is logged; the next change of the model catches up.
        """
        self._follower.submit(self._follow, model)

    def close(self) -> None:
        """Wait until MLflow has followed all that was told; nothing can be told afterwards."""
        self._follower.shutdown()

    # -------------------------------------------------------------- inside

    def _follow(self, model: str) -> None:
        try:
            self.mirror(model)
        except Unavailable as error:
            _log.warning("MLflow does not follow", model=model, why=str(error))

    def _get(self, connection: Connection, model: str, version: str) -> ModelVersion:
        found = repository.find(connection, model, version)
        if found is not None:
            return found
        known = sorted(repository.names(connection, model), key=versions.parse, reverse=True)
        if not known:
            raise self._unknown_model(connection, model)
        raise NotFound(
            f"model {model!r} has no version {version!r}",
            where="version",
            remedy=f"Its versions are: {_listed(known)}.",
        )

    def _unknown_model(self, connection: Connection, model: str) -> NotFound:
        page = repository.page_of_models(connection, _MOST_NAMED + 1, None)
        known = [item.name for item in page]
        remedy = f"The models are: {_listed(known)}." if known else "No model is registered yet."
        return NotFound(f"there is no model {model!r}", where="model", remedy=remedy)

    def _champion(self, connection: Connection, model: str) -> ModelVersion | None:
        return next(iter(repository.in_stage(connection, Stage.PRODUCTION, model)), None)

    def _newest(self, connection: Connection, model: str) -> ModelVersion | None:
        number = versions.newest(repository.names(connection, model))
        return repository.find(connection, model, number) if number else None

    def _parent(self, connection: Connection, candidate: Candidate) -> str | None:
        model = candidate.manifest.model
        if candidate.parent is not None:
            return self._get(connection, model, candidate.parent).version
        parent = self._champion(connection, model) or self._newest(connection, model)
        return parent.version if parent else None

    def _next(self, connection: Connection, candidate: Candidate) -> str:
        latest = self._newest(connection, candidate.manifest.model)
        if latest is None:
            return str(versions.FIRST)
        change = change_since(latest, candidate)
        return str(versions.following(versions.parse(latest.version), change))


def change_since(latest: ModelVersion, candidate: Candidate) -> versions.Change:
    """What sets the candidate apart from the newest version."""
    if versions.breaks(latest.manifest, candidate.manifest):
        return versions.Change.BREAKS_SIGNATURE
    grown = {field.name for field in candidate.manifest.inputs} - {
        field.name for field in latest.manifest.inputs
    }
    same_data = latest.dataset.get("digest") == candidate.dataset.get("digest")
    same_algorithm = latest.params.get("algorithm") == candidate.params.get("algorithm")
    if grown or not same_data or not same_algorithm:
        return versions.Change.NEW_DATA_OR_ALGORITHM
    return versions.Change.REFIT


def _move(connection: Connection, row: ModelVersion, to: Stage, actor: str, reason: str) -> None:
    if not repository.move(connection, row, to, actor=actor, reason=reason):
        raise Conflict(
            f"the stage of the version is not {row.stage} any more",
            where=f"{row.model} {row.version}",
            remedy="Look at its history and ask again.",
        )


def _listed(known: list[str]) -> str:
    return ", ".join(known[:_MOST_NAMED]) + (", …" if len(known) > _MOST_NAMED else "")
