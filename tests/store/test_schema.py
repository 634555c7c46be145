"""The schema's own types; that the migrations make exactly this schema is test_migrations'."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError, StatementError

from serinus.store import schema

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def model_row(**changes: object) -> dict[str, object]:
    row = {"name": "m", "model_type": "t", "task": "regression", "description": ""}
    return row | {"created_at": NOON} | changes


def test_utc_date_time_comes_back_aware_and_equal(engine: Engine) -> None:
    local = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with engine.begin() as connection:
        connection.execute(insert(schema.models).values(model_row(created_at=local)))
    with engine.begin() as connection:
        found = connection.execute(select(schema.models.c.created_at)).scalar_one()
    assert found == NOON
    assert found.tzinfo is UTC


def test_utc_date_time_orders_by_moment_whatever_the_zone(engine: Engine) -> None:
    east = timezone(timedelta(hours=9))
    with engine.begin() as connection:
        later = NOON + timedelta(hours=1)
        connection.execute(insert(schema.models).values(model_row(name="late", created_at=later)))
        early = NOON.astimezone(east)
        connection.execute(insert(schema.models).values(model_row(name="early", created_at=early)))
        ordered = select(schema.models.c.name).order_by(schema.models.c.created_at)
        assert connection.execute(ordered).scalars().all() == ["early", "late"]


def test_utc_date_time_refuses_a_naive_time(engine: Engine) -> None:
    naive = NOON.replace(tzinfo=None)
    with engine.connect() as connection, pytest.raises(StatementError, match="no time zone"):
        connection.execute(insert(schema.models).values(model_row(created_at=naive)))


def test_row_ids_count_up_by_themselves(engine: Engine) -> None:
    row = {
        "deployment": "d",
        "from_phase": "",
        "to_phase": "pending",
        "step": 0,
        "at": NOON,
        "actor": "a",
        "verdict": "",
        "reason": "",
    }
    with engine.begin() as connection:
        connection.execute(insert(schema.deployment_history), [row, row, row])
        ids = connection.execute(select(schema.deployment_history.c.id)).scalars().all()
    assert sorted(ids) == [1, 2, 3]


def test_deployments_has_at_most_one_live_row_of_a_model(engine: Engine) -> None:
    def deployment(name: str, live: str | None) -> dict[str, object]:
        texts = ("challenger", "strategy", "plan_hash", "phase", "verdict", "reason")
        times = ("step_entered_at", "created_at", "updated_at")
        row: dict[str, object] = dict.fromkeys(texts, "x") | dict.fromkeys(times, NOON)
        row |= {"requested_by": "x", "spec": {}, "plan": {}, "step": 0}
        return row | {"id": name, "model": "m", "live_model": live}

    with engine.begin() as connection:
        ended = [deployment("a", None), deployment("b", None)]
        connection.execute(insert(schema.deployments), ended)
        connection.execute(insert(schema.deployments), deployment("c", "m"))
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(schema.deployments), deployment("d", "m"))


def test_text_is_kept_without_its_nuls(engine: Engine) -> None:
    """PostgreSQL refuses them, and what a torn file makes of an error holds some."""
    with engine.begin() as connection:
        row = model_row(name="a\0b", description="torn at \0\0 here")
        connection.execute(insert(schema.models).values(row))
        found = connection.execute(select(schema.models.c.name, schema.models.c.description))
        assert found.one() == ("ab", "torn at  here")
