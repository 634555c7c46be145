"""Foundations: every table of the first loop."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.String(200)
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _registry()
    _delivery()
    _ledger()
    _monitoring()
    _scheduling()


def _registry() -> None:
    op.create_table(
        "models",
        sa.Column("name", Name, nullable=False),
        sa.Column("model_type", Name, nullable=False),
        sa.Column("task", Name, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
    )
    op.create_table(
        "model_versions",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("stage", Name, nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("run_id", Name, nullable=False),
        sa.Column("mlflow_version", Name, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("parent", Name, nullable=True),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("dataset", sa.JSON(), nullable=False),
        sa.Column("gates", sa.JSON(), nullable=False),
        sa.Column("reference", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("model", "version", name=op.f("pk_model_versions")),
    )
    op.create_table(
        "stage_history",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("from_stage", Name, nullable=False),
        sa.Column("to_stage", Name, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("actor", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_history")),
    )
    op.create_index(
        op.f("ix_stage_history_model_id"), "stage_history", ["model", "id"], unique=False
    )


def _delivery() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", Name, nullable=False),
        sa.Column("model", Name, nullable=False),
        sa.Column("live_model", Name, nullable=True),
        sa.Column("champion", Name, nullable=True),
        sa.Column("challenger", Name, nullable=False),
        sa.Column("strategy", Name, nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("plan_hash", Name, nullable=False),
        sa.Column("phase", Name, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("step_entered_at", Moment, nullable=False),
        sa.Column("verdict", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", Name, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.Column("ended_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        sa.UniqueConstraint("live_model", name=op.f("uq_deployments_live_model")),
    )
    op.create_index(
        op.f("ix_deployments_model_created_at"),
        "deployments",
        ["model", "created_at"],
        unique=False,
    )
    op.create_table(
        "deployment_history",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("deployment", Name, nullable=False),
        sa.Column("from_phase", Name, nullable=False),
        sa.Column("to_phase", Name, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("actor", Name, nullable=False),
        sa.Column("verdict", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_history")),
    )
    op.create_index(
        op.f("ix_deployment_history_deployment_id"),
        "deployment_history",
        ["deployment", "id"],
        unique=False,
    )
    op.create_table(
        "evidence",
        sa.Column("deployment", Name, nullable=False),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("deployment", name=op.f("pk_evidence")),
    )
    op.create_table(
        "evidence_units",
        sa.Column("deployment", Name, nullable=False),
        sa.Column("unit", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("deployment", "unit", name=op.f("pk_evidence_units")),
    )
    op.create_table(
        "awaiting_labels",
        sa.Column("prediction", sa.LargeBinary(length=16), nullable=False),
        sa.Column("deployment", Name, nullable=False),
        sa.Column("predicted_at", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("prediction", "deployment", name=op.f("pk_awaiting_labels")),
    )
    op.create_index(
        op.f("ix_awaiting_labels_deployment_predicted_at"),
        "awaiting_labels",
        ["deployment", "predicted_at"],
        unique=False,
    )
    op.create_table(
        "verdicts",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("deployment", Name, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("verdict", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("guardrails", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
    )
    op.create_index(
        op.f("ix_verdicts_deployment_id"), "verdicts", ["deployment", "id"], unique=False
    )
    op.create_table(
        "routing_revisions",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("routes", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_routing_revisions")),
    )
    op.create_table(
        "gateway_workers",
        sa.Column("worker", Name, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ready", sa.JSON(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_gateway_workers")),
    )


def _ledger() -> None:
    op.create_table(
        "ledger_offsets",
        sa.Column("consumer", Name, nullable=False),
        sa.Column("writer", Name, nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "writer", name=op.f("pk_ledger_offsets")),
    )


def _monitoring() -> None:
    op.create_table(
        "profiles",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("window", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("opened_at", Moment, nullable=False),
        sa.Column("closed_at", Moment, nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "window", name=op.f("pk_profiles")),
    )
    op.create_table(
        "drift_windows",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("window", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("opened_at", Moment, nullable=False),
        sa.Column("closed_at", Moment, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("distances", sa.JSON(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("p_value", sa.Float(), nullable=False),
        sa.Column("detector", sa.Float(), nullable=False),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "window", name=op.f("pk_drift_windows")),
    )
    op.create_table(
        "labels",
        sa.Column("prediction", sa.LargeBinary(length=16), nullable=False),
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("predicted_at", Moment, nullable=False),
        sa.Column("labelled_at", Moment, nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("prediction", name=op.f("pk_labels")),
    )
    op.create_index(
        op.f("ix_labels_model_predicted_at"), "labels", ["model", "predicted_at"], unique=False
    )
    op.create_table(
        "performance_windows",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("window", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("opened_at", Moment, nullable=False),
        sa.Column("closed_at", Moment, nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("sums", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "window", name=op.f("pk_performance_windows")),
    )


def _scheduling() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", Name, nullable=False),
        sa.Column("kind", Name, nullable=False),
        sa.Column("key", Name, nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", Name, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("lease_owner", Name, nullable=True),
        sa.Column("lease_until", Moment, nullable=True),
        sa.Column("run_after", Moment, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("started_at", Moment, nullable=True),
        sa.Column("finished_at", Moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_jobs_kind_key")),
    )
    op.create_index(op.f("ix_jobs_state_run_after"), "jobs", ["state", "run_after"], unique=False)
    op.create_table(
        "triggers",
        sa.Column("model", Name, nullable=False),
        sa.Column("kind", Name, nullable=False),
        sa.Column("state", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("job", Name, nullable=True),
        sa.Column("since", Moment, nullable=False),
        sa.PrimaryKeyConstraint("model", "kind", name=op.f("pk_triggers")),
    )
