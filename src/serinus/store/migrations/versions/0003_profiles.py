"""Profiles by version and minute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Name = sa.String(200)


def upgrade() -> None:
    op.create_table(
        "profile_minutes",
        sa.Column("model", Name, nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("model", "version", "minute", name=op.f("pk_profile_minutes")),
    )
    op.create_index(op.f("ix_profile_minutes_minute"), "profile_minutes", ["minute"], unique=False)
