"""The registry's rows. Every function works inside the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, and_, desc, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from serinus import clock, wire
from serinus.errors import Conflict
from serinus.registry.types import Candidate, GateResult, Model, ModelVersion, Stage, StageChange
from serinus.store import schema

_VERSIONS = select(
    schema.model_versions, schema.models.c.model_type, schema.models.c.task
).join_from(
    schema.model_versions,
    schema.models,
    schema.models.c.name == schema.model_versions.c.model,
)

_CHUNK = 400


def lock_model(connection: Connection, candidate: Candidate) -> None:
    """Make the model's row if there is none, and hold it until the transaction ends.

    The row's lock puts everything that reads and then writes a model's versions in one order.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    manifest = candidate.manifest
    connection.execute(
        dialect.insert(schema.models)
        .values(
            name=manifest.model,
            model_type=candidate.model_type,
            task=manifest.task,
            description=candidate.description,
            created_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=["name"])
    )
    hold_model(connection, manifest.model)


def hold_model(connection: Connection, name: str) -> bool:
    """Hold the model's row until the transaction ends; False if there is no such model.

    SQLite's transactions hold the whole database anyway.
    """
    row = select(schema.models.c.name).where(schema.models.c.name == name).with_for_update()
    return connection.execute(row).first() is not None


def insert_version(
    connection: Connection, candidate: Candidate, version: str, parent: str | None
) -> None:
    """Add a version in stage None.

    Raises:
        Conflict: the model has that version.
    """
    model = candidate.manifest.model
    row = {
        "model": model,
        "version": version,
        "stage": Stage.NONE,
        "uri": candidate.uri,
        "run_id": candidate.run_id,
        "mlflow_version": "",
        "description": candidate.description,
        "parent": parent,
        "manifest": msgspec.to_builtins(candidate.manifest),
        "metrics": _finite(candidate.metrics),
        "params": dict(candidate.params),
        "tags": dict(candidate.tags),
        "dataset": dict(candidate.dataset),
        "gates": [
            {"name": gate.name, "passed": gate.passed, "detail": gate.detail}
            for gate in candidate.gates
        ],
        "reference": dict(candidate.reference),
        "created_at": clock.now(),
    }
    try:
        connection.execute(insert(schema.model_versions).values(row))
    except IntegrityError as error:
        raise Conflict(
            "this version is registered already, and versions never change",
            where=f"{model} {version}",
            remedy="Give another version, or none for the next one.",
        ) from error


def move(
    connection: Connection,
    version: ModelVersion,
    to: Stage,
    *,
    actor: str,
    reason: str,
) -> bool:
    """Set the stage and write the history row; False if the version has left ``version.stage``."""
    rows = schema.model_versions
    moved = connection.execute(
        update(rows)
        .where(
            rows.c.model == version.model,
            rows.c.version == version.version,
            rows.c.stage == version.stage,
        )
        .values(stage=to)
    )
    if moved.rowcount != 1:
        return False
    connection.execute(
        insert(schema.stage_history).values(
            model=version.model,
            version=version.version,
            from_stage=version.stage,
            to_stage=to,
            at=clock.now(),
            actor=actor,
            reason=reason,
        )
    )
    return True


def set_mlflow_version(connection: Connection, model: str, version: str, number: str) -> bool:
    """Note MLflow's own number of the version; False if one was noted before."""
    rows = schema.model_versions
    noted = connection.execute(
        update(rows)
        .where(rows.c.model == model, rows.c.version == version, rows.c.mlflow_version == "")
        .values(mlflow_version=number)
    )
    return noted.rowcount == 1


def find(connection: Connection, model: str, version: str) -> ModelVersion | None:
    """The version, or None."""
    rows = schema.model_versions.c
    query = _VERSIONS.where(rows.model == model, rows.version == version)
    row = connection.execute(query).mappings().first()
    return _version(row) if row else None


def in_stage(connection: Connection, stage: Stage, model: str | None = None) -> list[ModelVersion]:
    """All versions in a stage, of one model or of all."""
    query = _VERSIONS.where(schema.model_versions.c.stage == stage)
    if model is not None:
        query = query.where(schema.model_versions.c.model == model)
    return [_version(row) for row in connection.execute(query).mappings()]


def champions(connection: Connection, model: str | None = None) -> dict[str, tuple[str, str]]:
    """By model, number and folder of the version in Production; of one model or of all."""
    rows = schema.model_versions.c
    query = select(rows.model, rows.version, rows.uri).where(rows.stage == Stage.PRODUCTION)
    if model is not None:
        query = query.where(rows.model == model)
    return {row.model: (row.version, row.uri) for row in connection.execute(query)}


def folders(
    connection: Connection, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The folders of versions, by model and version; what there is none of is left out."""
    rows = schema.model_versions.c
    found: dict[tuple[str, str], str] = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = tuple_(rows.model, rows.version).in_(wanted[start : start + _CHUNK])
        query = select(rows.model, rows.version, rows.uri).where(chunk)
        found.update({(row.model, row.version): row.uri for row in connection.execute(query)})
    return found


def staged(connection: Connection) -> dict[str, tuple[str, str]]:
    """By model, of the versions in Staging the one that came there last: its number and folder."""
    rows, history = schema.model_versions.c, schema.stage_history.c
    query = (
        select(rows.model, rows.version, rows.uri)
        .join_from(
            schema.model_versions,
            schema.stage_history,
            (rows.model == history.model) & (rows.version == history.version),
        )
        .where(rows.stage == Stage.STAGING, history.to_stage == Stage.STAGING)
        .order_by(history.id)
    )
    return {row.model: (row.version, row.uri) for row in connection.execute(query)}


def names(connection: Connection, model: str) -> list[str]:
    """The version numbers of a model, in no order."""
    query = select(schema.model_versions.c.version).where(schema.model_versions.c.model == model)
    return [row.version for row in connection.execute(query)]


def states(connection: Connection, model: str) -> list[tuple[str, Stage, str]]:
    """For each version of a model its number, stage and MLflow number."""
    rows = schema.model_versions.c
    query = select(rows.version, rows.stage, rows.mlflow_version).where(rows.model == model)
    return [
        (row.version, Stage(row.stage), row.mlflow_version)
        for row in connection.execute(query.order_by(rows.created_at))
    ]


def page_of_models(connection: Connection, limit: int, after: str | None) -> list[Model]:
    """Models by name, those after the name ``after``."""
    query = select(schema.models).order_by(schema.models.c.name).limit(limit)
    if after is not None:
        query = query.where(schema.models.c.name > after)
    return [Model(**row) for row in connection.execute(query).mappings()]


def page_of_versions(
    connection: Connection, model: str, limit: int, after: str | None
) -> list[ModelVersion]:
    """A model's versions, newest first; those registered before the version ``after``."""
    rows = schema.model_versions.c
    query = (
        _VERSIONS.where(rows.model == model)
        .order_by(desc(rows.created_at), desc(rows.version))
        .limit(limit)
    )
    if after is not None:
        last = find(connection, model, after)
        if last is None:
            return []
        older = rows.created_at < last.created_at
        tied = and_(rows.created_at == last.created_at, rows.version < after)
        query = query.where(or_(older, tied))
    return [_version(row) for row in connection.execute(query).mappings()]


def history(connection: Connection, model: str, limit: int) -> list[StageChange]:
    """The model's latest stage changes, newest first."""
    rows = schema.stage_history
    query = select(rows).where(rows.c.model == model).order_by(desc(rows.c.id)).limit(limit)
    return [
        StageChange(
            model=row["model"],
            version=row["version"],
            from_stage=Stage(row["from_stage"]),
            to_stage=Stage(row["to_stage"]),
            at=row["at"],
            actor=row["actor"],
            reason=row["reason"],
        )
        for row in connection.execute(query).mappings()
    ]


def last_entered(connection: Connection, model: str, stage: Stage) -> Sequence[str]:
    """Versions that entered the stage, the latest first, each as often as it did."""
    rows = schema.stage_history.c
    query = (
        select(rows.version)
        .where(rows.model == model, rows.to_stage == stage)
        .order_by(desc(rows.id))
        .limit(100)
    )
    return [row.version for row in connection.execute(query)]


def _version(row: RowMapping) -> ModelVersion:
    values = dict(row)
    values["stage"] = Stage(values["stage"])
    values["manifest"] = msgspec.convert(values["manifest"], wire.Manifest)
    values["gates"] = tuple(GateResult(**gate) for gate in values["gates"])
    return ModelVersion(**values)


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    # JSON has no NaN, and PostgreSQL refuses it.
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
