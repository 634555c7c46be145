"""Where a rollback by hand may lead."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.delivery.test_reconcile import deployment

from serinus.delivery.rollback.plan import check, former
from serinus.errors import Conflict, NotFound
from serinus.registry.types import ModelVersion, Stage, StageChange
from serinus.wire import Manifest

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def version(number: str) -> ModelVersion:
    return ModelVersion(
        model="fraud",
        version=number,
        stage=Stage.PRODUCTION,
        uri="",
        run_id="",
        mlflow_version="",
        model_type="classification",
        task="classification",
        description="",
        parent=None,
        manifest=Manifest("fraud", "classification", (), "y"),
        metrics={},
        params={},
        tags={},
        dataset={},
        gates=(),
        reference={},
        created_at=NOW,
    )


def history(*champions: str) -> list[StageChange]:
    """The stage changes, newest first, of versions that became champion one after the other."""
    changes: list[StageChange] = []

    def change(number: str, before: Stage, after: Stage) -> None:
        changes.append(StageChange("fraud", number, before, after, NOW, "ann", ""))

    seen: set[str] = set()
    holder = ""
    for number in champions:
        if number not in seen:
            change(number, Stage.NONE, Stage.STAGING)
        if holder:
            change(holder, Stage.PRODUCTION, Stage.ARCHIVED)
        change(number, Stage.ARCHIVED if number in seen else Stage.STAGING, Stage.PRODUCTION)
        seen.add(number)
        holder = number
    return changes[::-1]


@pytest.mark.parametrize(
    ("champions", "to"),
    [
        (["1.0.0", "1.1.0"], "1.0.0"),
        (["1.0.0", "1.1.0", "1.2.0"], "1.1.0"),
        (["1.0.0", "1.1.0", "1.2.0", "1.1.0"], "1.0.0"),
    ],
)
def test_former_is_what_the_champion_replaced_first(champions: list[str], to: str) -> None:
    assert former(version(champions[-1]), history(*champions)) == to


@pytest.mark.parametrize("champions", [["1.0.0"], ["1.0.0", "1.1.0", "1.0.0"]])
def test_former_never_is_the_version_that_was_taken_back(champions: list[str]) -> None:
    with pytest.raises(NotFound, match="has replaced no version"):
        former(version("1.0.0"), history(*champions))


def test_check_refuses_only_the_challenger() -> None:
    with pytest.raises(Conflict, match="would be taken back"):
        check("1.1.0", deployment())
    check("1.0.0", deployment())
    check("1.0.0", None)
