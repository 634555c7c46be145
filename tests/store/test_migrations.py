"""The migrations, run one after the other, are the schema: on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from serinus import clock
from serinus.delivery.records import deployments, evidence, looks
from serinus.delivery.types import Outcome, Phase
from serinus.delivery.verdicts import watch
from serinus.delivery.verdicts.evidence import EMPTY
from serinus.delivery.verdicts.judge import judge
from serinus.store import schema
from serinus.store.engine import MIGRATIONS, migrate, open_engine

# A plan as the first Serinus wrote it, which left the latency and all else to the code.
OLD_STEP = {"share": 0.5, "mirror": 0.0, "min_requests": 200, "approval": False} | {
    "gate": {"error_odds": 2.0, "error_points": 0.005, "quality_points": None},
    "min_seconds": 0.0,
    "max_seconds": 3600.0,
}
OLD_PLAN: dict[str, Any] = {
    "steps": [OLD_STEP],
    "guardrails": [{"kind": "errors", "alpha": 0.015}, {"kind": "shadow_errors", "alpha": 0.01}],
    "quality": {"task": "classification", "cap": 1.0, "baseline": 0.05},
    "promote_alpha": 0.025,
    "unit": "request",
    "salt": "d1",
    "label_window_seconds": 86_400.0,
    "label_coverage": 0.995,
    "load_seconds": 120.0,
    "soak_seconds": 600.0,
    "auto_promote": True,
}
OLD_SPEC = {"model": "fraud", "challenger": "1.1.0", "shares": [0.5], "error_odds": 2.0}


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


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that nothing was ever migrated in, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'old.db'}"
    found: str = request.getfixturevalue("postgresql_url")
    return found


def upgrade(engine: Engine, revision: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)


def put(engine: Engine, name: str, **values: object) -> None:
    """A row, as the database of that time takes it."""
    with engine.begin() as connection:
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        connection.execute(sa.insert(table).values(**values))


def test_migrations_keep_the_deployments_of_the_first_schema(empty_url: str) -> None:
    engine = open_engine(empty_url)
    upgrade(engine, "0001")
    now = clock.now()
    put(
        engine,
        "deployments",
        id="d1",
        model="fraud",
        live_model="fraud",
        champion="1.0.0",
        challenger="1.1.0",
        strategy="canary",
        spec=OLD_SPEC,
        plan=OLD_PLAN,
        plan_hash="of then",
        phase="running",
        step=0,
        step_entered_at=now,
        verdict="continue",
        reason="because",
        requested_by="ann",
        created_at=now,
        updated_at=now,
    )
    put(engine, "evidence", deployment="d1", summary=b"of a former form", updated_at=now)
    put(engine, "evidence_units", deployment="d1", unit=7)
    put(engine, "awaiting_labels", prediction=b"p" * 16, deployment="d1", predicted_at=1, facts=b"")
    migrate(engine)
    migrate(engine)  # a second time is none
    with engine.begin() as connection:
        assert connection.execute(sa.select(schema.evidence_units.c.failed)).scalar_one() is False
        kept = deployments.get(connection, "d1")
        assert deployments.live(connection) == [kept]
        learnt = evidence.get(connection, "d1")
        assert evidence.watches(connection, ["d1"])["d1"] is watch.UNSEEN
        assert evidence.folded(connection, "d1") == 0
    assert (kept.phase, kept.plan_hash, kept.challenger) == (Phase.RUNNING, "of then", "1.1.0")
    assert kept.spec.shares == (0.5,)
    # What it judged then it judges still, by its own alphas and margins; and nothing else.
    assert [(rail.kind, rail.alpha) for rail in kept.plan.guardrails] == [
        ("errors", 0.015),
        ("shadow_errors", 0.01),
    ]
    assert kept.plan.steps[0].gate.error_odds == 2.0
    assert kept.plan.steps[0].gate.latency_ratio is None
    assert kept.plan.value is None
    assert learnt == EMPTY
    assert judge(kept.plan, 0, learnt).outcome is Outcome.NO_DATA
    with engine.begin() as connection:
        verdict = judge(kept.plan, 0, learnt)
        looks.add(connection, [(kept, verdict, 0)], now)
        assert len(looks.newest(connection, "d1", 5)) == 1
    engine.dispose()
