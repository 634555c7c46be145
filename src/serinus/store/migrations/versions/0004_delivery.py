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
    op.create_table(
        "leases",
        sa.Column("name", Name, nullable=False),
        sa.Column("holder", Name, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
