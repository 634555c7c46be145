"""Verdicts that replay: what was folded when; values beside labels; entities that failed.

And what is watched without an end once a version is in production.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.String(200)
Moment = sa.DateTime(timezone=True)

# What plans of before did not say: no latency forgiven, nothing judged that was not judged then.
_UNSAID: dict[str, object] = {
    "latency": {"tolerance": 0.0, "slack_us": 0.0, "early_ratio": 1.5, "last_ratio": 1.25},
    "value": None,
    "score_cuts": [],
    "classes": [],
    "same_within": 0.0,
}
_NO_EVIDENCE = b"\x90"


def upgrade() -> None:
    op.create_table(
        "folds",
        sa.Column("id", RowId, autoincrement=True, nullable=False),
        sa.Column("deployment", Name, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("spans", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folds")),
    )
    op.create_index(op.f("ix_folds_deployment_id"), "folds", ["deployment", "id"], unique=False)
    op.drop_table("awaiting_labels")
    op.create_table(
        "awaiting",
        sa.Column("prediction", sa.LargeBinary(length=16), nullable=False),
        sa.Column("deployment", Name, nullable=False),
        sa.Column("kind", Name, nullable=False),
        sa.Column("predicted_at", sa.BigInteger(), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("prediction", "deployment", "kind", name=op.f("pk_awaiting")),
    )
    op.create_index(
        op.f("ix_awaiting_deployment_kind_predicted_at"),
        "awaiting",
        ["deployment", "kind", "predicted_at"],
        unique=False,
    )
    op.add_column(
        "evidence_units",
        sa.Column("failed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("evidence", sa.Column("watch", sa.LargeBinary(), nullable=True))
    op.add_column(
        "evidence", sa.Column("fold", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column(
        "verdicts", sa.Column("fold", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "rises",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("watched", Name, nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "watched", name=op.f("pk_rises")),
    )
    _complete_plans()


def _complete_plans() -> None:
    """Plans of before say what they left to the code; evidence of the former form is let go."""
    connection = op.get_bind()
    deployments = sa.table("deployments", sa.column("id"), sa.column("plan", sa.JSON()))
    evidence = sa.table("evidence", sa.column("summary", sa.LargeBinary()))
    for row in connection.execute(sa.select(deployments)).all():
        plan = json.loads(row.plan) if isinstance(row.plan, str) else row.plan
        connection.execute(
            sa.update(deployments)
            .where(deployments.c.id == row.id)
            .values(plan={**_UNSAID, **plan})
        )
    connection.execute(sa.update(evidence).values(summary=_NO_EVIDENCE))
