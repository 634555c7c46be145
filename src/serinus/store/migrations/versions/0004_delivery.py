"""Leases of controllers, circuits of workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from serinus.store.schema import UtcDateTime

revision = "0004"
down_revision = "0003"

Name = sa.String(200)


def upgrade() -> None:
    op.add_column("gateway_workers", sa.Column("circuits", sa.JSON(), nullable=True))
    op.add_column("routing_revisions", sa.Column("staging", sa.JSON(), nullable=True))
    op.add_column(
        "deployment_history",
        sa.Column("fold", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column("verdicts", sa.Column("challenger", Name, nullable=True))
    op.create_index(
        "ix_awaiting_orphans",
        "awaiting",
        ["deployment", "predicted_at"],
        sqlite_where=sa.text("length(facts) = 0"),
        postgresql_where=sa.text("length(facts) = 0"),
    )
    op.create_table(
        "leases",
        sa.Column("name", Name, nullable=False),
        sa.Column("holder", Name, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "rollbacks",
        sa.Column("id", Name, nullable=False),
        sa.Column("model", Name, nullable=False),
        sa.Column("open_model", Name, nullable=True),
        sa.Column("taken_back", Name, nullable=False),
        sa.Column("to", Name, nullable=False),
        sa.Column("deployment", Name, nullable=True),
        sa.Column("cause", Name, nullable=False),
        sa.Column("actor", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", Name, nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("criteria", sa.JSON(), nullable=False),
        sa.Column("sound_until", UtcDateTime(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("routed_at", UtcDateTime(), nullable=True),
        sa.Column("reported_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollbacks")),
        sa.UniqueConstraint("open_model", name=op.f("uq_rollbacks_open_model")),
    )
    op.create_index(op.f("ix_rollbacks_model_id"), "rollbacks", ["model", "id"])
    op.create_index(op.f("ix_rollbacks_deployment"), "rollbacks", ["deployment"])
    op.create_table(
        "vitals",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seconds", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "start", "seconds", name=op.f("pk_vitals")),
    )
    op.create_index(op.f("ix_vitals_seconds_start"), "vitals", ["seconds", "start"])
    op.create_table(
        "defaults",
        sa.Column("model", Name, nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("actor", Name, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("alone_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_defaults")),
    )
    op.create_table(
        "experiments",
        sa.Column("deployment", Name, nullable=False),
        sa.Column("setup", sa.JSON(), nullable=False),
        sa.Column("shares", sa.JSON(), nullable=False),
        sa.Column("dropped", sa.JSON(), nullable=False),
        sa.Column("sums", sa.LargeBinary(), nullable=False),
        sa.Column("allocations", sa.JSON(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", name=op.f("pk_experiments")),
    )
    op.create_table(
        "experiment_units",
        sa.Column("deployment", Name, nullable=False),
        sa.Column("unit", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("arm", sa.Integer(), nullable=False),
        sa.Column("stretch", sa.Integer(), nullable=False),
        sa.Column("y", sa.Float(), nullable=False),
        sa.Column("n", sa.Float(), nullable=False),
        sa.Column("x", sa.Float(), nullable=False),
        sa.Column("groups", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "unit", name=op.f("pk_experiment_units")),
    )
