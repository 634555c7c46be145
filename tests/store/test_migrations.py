"""The migrations, run one after the other, are the schema: on both databases."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from serinus.store import schema
from serinus.store.engine import MIGRATIONS


def test_migrations_sum_up_to_the_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.metadata) == []


def test_migrations_end_at_the_revision_that_the_schema_names() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [schema.REVISION]


def test_migrations_form_one_line() -> None:
    revisions = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    assert [item.revision for item in revisions] == sorted(
        (item.revision for item in revisions), reverse=True
    )
    assert sum(item.down_revision is None for item in revisions) == 1
