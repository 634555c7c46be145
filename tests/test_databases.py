"""The database that tests use one after the other is to each of them as a new one."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, func, select

from serinus.store import schema
from serinus.store.engine import open_engine


@pytest.fixture
def migrated(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("_migrated")


def identity(address: str) -> object:
    """Which database it is, whatever its name."""
    return ask(address, "SELECT oid FROM pg_database WHERE datname = current_database()")


def ask(address: str, statement: str) -> Any:
    with psycopg.connect(address, autocommit=True) as connection:
        answer = connection.execute(statement)
        return answer.fetchone() if answer.description else None


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in schema.metadata.tables.values()
        )


def test_database_is_used_again_empty_and_under_another_name(migrated: Any) -> None:
    first = migrated.lend()
    before = identity(first)
    ask(first, "INSERT INTO models VALUES ('m', 'classifier', 'binary', '', now())")
    ask(first, "INSERT INTO folds VALUES (DEFAULT, 'd', now(), true, '')")
    migrated.take_back()
    second = migrated.lend()
    engine = open_engine(second)
    assert identity(second) == before
    assert rows(engine) == 0
    engine.dispose()
    assert ask(second, "SELECT nextval('folds_id_seq')") == (1,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(first)
    migrated.take_back()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE written (x INTEGER)",
        "ALTER TABLE verdicts RENAME COLUMN id TO number",
        "ALTER TABLE verdicts DROP COLUMN id CASCADE",
        "DROP TABLE verdicts",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "UPDATE alembic_version SET version_num = '9999'",
    ],
)
def test_database_with_another_schema_is_given_up(migrated: Any, change: str) -> None:
    first = migrated.lend()
    before = identity(first)
    ask(first, change)
    migrated.take_back()
    second = migrated.lend()
    assert identity(second) != before
    migrated.take_back()


def test_database_with_a_connection_is_given_up(migrated: Any) -> None:
    first = migrated.lend()
    before = identity(first)
    with psycopg.connect(first) as left:
        left.execute("LOCK TABLE verdicts")
        migrated.take_back()
        second = migrated.lend()
        assert identity(second) != before
        with pytest.raises(psycopg.OperationalError):
            left.execute("SELECT 1")
    migrated.take_back()


def test_database_that_was_not_given_back_is_given_up(migrated: Any) -> None:
    before = identity(migrated.lend())
    second = migrated.lend()
    assert identity(second) != before
    migrated.take_back()
