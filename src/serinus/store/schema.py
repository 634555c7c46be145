"""Every table. Capabilities own their rows; this room owns only their shape.

The migrations under ``migrations/`` must sum up to exactly this; a test holds them to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    literal_column,
)
from sqlalchemy.types import TypeDecorator

from serinus import clock


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time in both databases; a naive time is refused on the way in."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; a naive one is InvalidInput."""
        return None if value is None else clock.require_aware(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """SQLite returns UTC without saying so; PostgreSQL in the session's zone."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class _Words(TypeDecorator[str]):
    """Text as both databases take it, without NULs.

    PostgreSQL refuses one, which a torn file may put into an error's words, and anybody into a
    reason.
    """

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text without its NULs."""
        return value.replace("\0", "") if value and "\0" in value else value


class ShortText(_Words):
    """A name or a choice."""

    impl = String(200)
    cache_ok = True


class LongText(_Words):
    """Words for people."""

    impl = Text
    cache_ok = True


REVISION = "0004"
"""The newest migration: what :func:`serinus.store.engine.migrate` brings a database to."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows up by itself only in a column of exactly the type INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")
Name = ShortText()
Prose = LongText()

# ------------------------------------------------------------------------ registry

models = Table(
    "models",
    metadata,
    Column("name", Name, primary_key=True),
    Column("model_type", Name, nullable=False),
    Column("task", Name, nullable=False),
    Column("description", Prose, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("stage", Name, nullable=False),
    Column("uri", Prose, nullable=False),
    Column("run_id", Name, nullable=False),
    Column("mlflow_version", Name, nullable=False),
    Column("description", Prose, nullable=False),
    Column("parent", Name, nullable=True),
    Column("manifest", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("params", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("dataset", JSON, nullable=False),
    Column("gates", JSON, nullable=False),
    Column("reference", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

stage_history = Table(
    "stage_history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("model", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("from_stage", Name, nullable=False),
    Column("to_stage", Name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    Index(None, "model", "id"),
)

# ------------------------------------------------------------------------ delivery

deployments = Table(
    "deployments",
    metadata,
    Column("id", Name, primary_key=True),
    Column("model", Name, nullable=False),
    # The model's name while the deployment is live, NULL afterwards: at most one live a model.
    Column("live_model", Name, nullable=True, unique=True),
    Column("champion", Name, nullable=True),
    Column("challenger", Name, nullable=False),
    Column("strategy", Name, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("plan_hash", Name, nullable=False),
    Column("phase", Name, nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_entered_at", UtcDateTime, nullable=False),
    Column("verdict", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    Column("requested_by", Name, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime, nullable=True),
    Index(None, "model", "created_at"),
)

deployment_history = Table(
    "deployment_history",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("deployment", Name, nullable=False),
    Column("from_phase", Name, nullable=False),
    Column("to_phase", Name, nullable=False),
    Column("step", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", Name, nullable=False),
    Column("verdict", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    # The last fold before it: what was forgotten at an end is forgotten there by a replay, too.
    Column("fold", BigInteger, nullable=False, server_default="0"),
    Index(None, "deployment", "id"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("deployment", Name, primary_key=True),
    Column("summary", LargeBinary, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("watch", LargeBinary, nullable=True),
    Column("fold", BigInteger, nullable=False, server_default="0"),
)

folds = Table(
    "folds",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("deployment", Name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("spans", LargeBinary, nullable=False),
    Index(None, "deployment", "id"),
)

evidence_units = Table(
    "evidence_units",
    metadata,
    Column("deployment", Name, primary_key=True),
    Column("unit", BigInteger, primary_key=True, autoincrement=False),
    Column("failed", Boolean, nullable=False, server_default=false()),
)

awaiting = Table(
    "awaiting",
    metadata,
    Column("prediction", LargeBinary(16), primary_key=True),
    Column("deployment", Name, primary_key=True),
    Column("kind", Name, primary_key=True),
    Column("predicted_at", BigInteger, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=True),
    Index(None, "deployment", "kind", "predicted_at"),
)
# What was told of requests that were not read yet: few, and asked for in every pass.
Index(
    "ix_awaiting_orphans",
    awaiting.c.deployment,
    awaiting.c.predicted_at,
    sqlite_where=func.length(awaiting.c.facts) == literal_column("0"),
    postgresql_where=func.length(awaiting.c.facts) == literal_column("0"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("deployment", Name, nullable=False),
    Column("step", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("verdict", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("guardrails", JSON, nullable=False),
    Column("fold", BigInteger, nullable=False, server_default="0"),
    # Whom it judged; NULL where that was not yet kept.
    Column("challenger", Name, nullable=True),
    Index(None, "deployment", "id"),
)

routing_revisions = Table(
    "routing_revisions",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("routes", JSON, nullable=False),
    Column("reason", Prose, nullable=False),
    Column("staging", JSON, nullable=True),
)

gateway_workers = Table(
    "gateway_workers",
    metadata,
    Column("worker", Name, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("ready", JSON, nullable=False),
    Column("failed", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("circuits", JSON, nullable=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Name, primary_key=True),
    Column("holder", Name, nullable=False),
    # Rises with each change of the holder: who still has an older one has been deposed.
    Column("token", BigInteger, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

rollbacks = Table(
    "rollbacks",
    metadata,
    Column("id", Name, primary_key=True),
    Column("model", Name, nullable=False),
    # The model's name until the end, NULL afterwards: at most one is open a model.
    Column("open_model", Name, nullable=True, unique=True),
    Column("taken_back", Name, nullable=False),
    Column("to", Name, nullable=False),
    Column("deployment", Name, nullable=True),
    Column("cause", Name, nullable=False),
    Column("actor", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    Column("state", Name, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("criteria", JSON, nullable=False),
    Column("sound_until", UtcDateTime, nullable=False),
    Column("steps", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("seen", JSON, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("routed_at", UtcDateTime, nullable=True),
    Column("reported_at", UtcDateTime, nullable=True),
    Column("ended_at", UtcDateTime, nullable=True),
    Index(None, "model", "id"),
    Index(None, "deployment"),
)

vitals = Table(
    "vitals",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    # Seconds since 1970 at which it begins, and how many it holds.
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("counts", LargeBinary, nullable=False),
    Index(None, "seconds", "start"),
)

defaults = Table(
    "defaults",
    metadata,
    Column("model", Name, primary_key=True),
    Column("answer", JSON, nullable=False),
    Column("actor", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("alone_until", UtcDateTime, nullable=True),
)

experiments = Table(
    "experiments",
    metadata,
    Column("deployment", Name, primary_key=True),
    Column("setup", JSON, nullable=False),
    Column("shares", JSON, nullable=False),
    Column("dropped", JSON, nullable=False),
    Column("sums", LargeBinary, nullable=False),
    # By which looks traffic was allocated, and how.
    Column("allocations", JSON, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

experiment_units = Table(
    "experiment_units",
    metadata,
    Column("deployment", Name, primary_key=True),
    Column("unit", BigInteger, primary_key=True, autoincrement=False),
    Column("arm", Integer, nullable=False),
    Column("stretch", Integer, nullable=False),
    Column("y", Float, nullable=False),
    Column("n", Float, nullable=False),
    Column("x", Float, nullable=False),
    Column("groups", LargeBinary, nullable=False),
)

# ------------------------------------------------------------------------ ledger consumers

ledger_offsets = Table(
    "ledger_offsets",
    metadata,
    Column("consumer", Name, primary_key=True),
    Column("writer", Name, primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
)

# ------------------------------------------------------------------------ monitoring

profiles = Table(
    "profiles",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("window", Integer, primary_key=True, autoincrement=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
    Column("rows", BigInteger, nullable=False),
    Column("counts", JSON, nullable=False),
)

profile_minutes = Table(
    "profile_minutes",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("rows", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    Index(None, "minute"),
)

drift_windows = Table(
    "drift_windows",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("window", Integer, primary_key=True, autoincrement=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("distances", JSON, nullable=False),
    Column("score", Float, nullable=False),
    Column("p_value", Float, nullable=False),
    Column("detector", Float, nullable=False),
    Column("alarm", Boolean, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("prediction", LargeBinary(16), primary_key=True),
    Column("model", Name, nullable=False),
    Column("version", Name, nullable=False),
    Column("predicted_at", UtcDateTime, nullable=False),
    Column("labelled_at", UtcDateTime, nullable=False),
    Column("value", JSON, nullable=False),
    Index(None, "model", "predicted_at"),
)

performance_windows = Table(
    "performance_windows",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("window", Integer, primary_key=True, autoincrement=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
    Column("rows", BigInteger, nullable=False),
    Column("sums", JSON, nullable=False),
)

rises = Table(
    "rises",
    metadata,
    Column("model", Name, primary_key=True),
    Column("version", Name, primary_key=True),
    Column("watched", Name, primary_key=True),
    Column("state", JSON, nullable=False),
)

# ------------------------------------------------------------------------ scheduling

jobs = Table(
    "jobs",
    metadata,
    Column("id", Name, primary_key=True),
    Column("kind", Name, nullable=False),
    Column("key", Name, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", Name, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("progress", Prose, nullable=False),
    Column("result", JSON, nullable=True),
    Column("error", Prose, nullable=False),
    Column("lease_owner", Name, nullable=True),
    Column("lease_until", UtcDateTime, nullable=True),
    Column("run_after", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime, nullable=True),
    Column("finished_at", UtcDateTime, nullable=True),
    UniqueConstraint("kind", "key"),
    Index(None, "state", "run_after"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("model", Name, primary_key=True),
    Column("kind", Name, primary_key=True),
    Column("state", Name, nullable=False),
    Column("reason", Prose, nullable=False),
    Column("job", Name, nullable=True),
    Column("since", UtcDateTime, nullable=False),
)
