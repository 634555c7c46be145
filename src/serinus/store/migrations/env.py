"""Run by Alembic: carries out the migrations on the connection that ``engine.migrate`` hands in."""

from __future__ import annotations

from alembic import context

from serinus.store import schema

# SQLite cannot alter most of a table, so there a change is a copy ("batch") inside the same
# transaction; the caller commits all migrations at once or none.
connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
