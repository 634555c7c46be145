from __future__ import annotations

import math

import pytest
from sqlalchemy import Engine

from serinus import wire
from serinus.errors import Conflict
from serinus.registry import repository
from serinus.registry.types import Candidate, GateResult, Stage

MANIFEST = wire.Manifest(
    model="fraud",
    task="classification",
    inputs=(wire.Field("x", "double", required=True), wire.Field("y", "string")),
    target="t",
    classes=("no", "yes"),
    example={"x": 1.5, "y": None},
)


def _candidate(model: str = "fraud") -> Candidate:
    return Candidate(
        uri="/somewhere",
        manifest=wire.Manifest(model, "classification", MANIFEST.inputs, "t", MANIFEST.classes),
        model_type="classification",
        metrics={"f1": 0.5, "roc_auc": math.nan},
        params={"algorithm": "ridge", "algorithm_params": {"alpha": 1}},
        tags={"team": "risk"},
        dataset={"digest": "d"},
        gates=(GateResult("size", True, "small"),),
        reference={"rows": 3},
    )


def _insert(engine: Engine, *numbers: str, model: str = "fraud") -> None:
    for number in numbers:
        with engine.begin() as connection:
            repository.lock_model(connection, _candidate(model))
            repository.insert_version(connection, _candidate(model), number, None)


def test_find_gives_back_what_was_inserted(engine: Engine) -> None:
    _insert(engine, "1.0.0")
    with engine.connect() as connection:
        found = repository.find(connection, "fraud", "1.0.0")

    assert found is not None
    assert found.manifest.classes == ("no", "yes")
    assert found.manifest.inputs == MANIFEST.inputs
    assert found.metrics == {"f1": 0.5}
    assert found.gates == (GateResult("size", True, "small"),)
    assert found.stage is Stage.NONE
    assert found.created_at.tzinfo is not None


def test_insert_duplicate_is_refused_and_the_first_stands(engine: Engine) -> None:
    _insert(engine, "1.0.0")

    with pytest.raises(Conflict, match="registered already") as caught:
        _insert(engine, "1.0.0")

    assert caught.value.where == "fraud 1.0.0"
    with engine.connect() as connection:
        assert repository.names(connection, "fraud") == ["1.0.0"]


def test_move_writes_history_with_the_stage(engine: Engine) -> None:
    _insert(engine, "1.0.0")
    with engine.begin() as connection:
        row = repository.find(connection, "fraud", "1.0.0")
        assert row is not None
        assert repository.move(connection, row, Stage.STAGING, actor="ann", reason="why")

    with engine.connect() as connection:
        (change,) = repository.history(connection, "fraud", 10)
        (staged,) = repository.in_stage(connection, Stage.STAGING)
    assert (change.from_stage, change.to_stage) == (Stage.NONE, Stage.STAGING)
    assert (change.actor, change.reason) == ("ann", "why")
    assert staged.version == "1.0.0"


def test_move_from_a_stage_that_was_left_does_nothing(engine: Engine) -> None:
    _insert(engine, "1.0.0")
    with engine.begin() as connection:
        stale = repository.find(connection, "fraud", "1.0.0")
        assert stale is not None
        repository.move(connection, stale, Stage.STAGING, actor="a", reason="r")

        assert not repository.move(connection, stale, Stage.ARCHIVED, actor="b", reason="r")
        assert len(repository.history(connection, "fraud", 10)) == 1
        again = repository.find(connection, "fraud", "1.0.0")
    assert again is not None
    assert again.stage is Stage.STAGING


def test_move_and_history_are_undone_together(engine: Engine) -> None:
    _insert(engine, "1.0.0")

    def crash() -> None:
        with engine.begin() as connection:
            row = repository.find(connection, "fraud", "1.0.0")
            assert row is not None
            repository.move(connection, row, Stage.STAGING, actor="a", reason="r")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()

    with engine.connect() as connection:
        assert repository.in_stage(connection, Stage.STAGING) == []
        assert repository.history(connection, "fraud", 10) == []


def test_set_mlflow_version_only_once(engine: Engine) -> None:
    _insert(engine, "1.0.0")
    with engine.begin() as connection:
        assert repository.set_mlflow_version(connection, "fraud", "1.0.0", "7")
        assert not repository.set_mlflow_version(connection, "fraud", "1.0.0", "8")
        assert repository.states(connection, "fraud") == [("1.0.0", Stage.NONE, "7")]


def test_page_of_versions_walks_all_newest_first(engine: Engine) -> None:
    numbers = ["1.0.0", "1.1.0", "1.10.0", "1.2.0", "2.0.0"]
    _insert(engine, *numbers)
    walked: list[str] = []
    with engine.connect() as connection:
        while True:
            after = walked[-1] if walked else None
            page = repository.page_of_versions(connection, "fraud", 2, after)
            if not page:
                break
            walked += [item.version for item in page]

    assert walked == numbers[::-1]


def test_page_of_models_is_by_name(engine: Engine) -> None:
    for model in ("c", "a", "b"):
        _insert(engine, "1.0.0", model=model)
    with engine.connect() as connection:
        first = repository.page_of_models(connection, 2, None)
        rest = repository.page_of_models(connection, 2, first[-1].name)

    assert [item.name for item in [*first, *rest]] == ["a", "b", "c"]


def test_last_entered_is_latest_first(engine: Engine) -> None:
    _insert(engine, "1.0.0", "1.1.0")
    with engine.begin() as connection:
        for number in ("1.0.0", "1.1.0"):
            row = repository.find(connection, "fraud", number)
            assert row is not None
            repository.move(connection, row, Stage.STAGING, actor="a", reason="r")

        assert repository.last_entered(connection, "fraud", Stage.STAGING) == ["1.1.0", "1.0.0"]


def test_hold_model_tells_whether_there_is_one(engine: Engine) -> None:
    _insert(engine, "1.0.0")
    with engine.begin() as connection:
        assert repository.hold_model(connection, "fraud")
        assert not repository.hold_model(connection, "nobody")


def test_staged_is_the_version_that_came_to_staging_last_and_is_there(engine: Engine) -> None:
    _insert(engine, "1.0.0", "1.1.0", "1.2.0")
    _insert(engine, "1.0.0", model="churn")

    def moved(number: str, to: Stage) -> dict[str, tuple[str, str]]:
        with engine.begin() as connection:
            found = repository.find(connection, "fraud", number)
            assert found is not None
            repository.move(connection, found, to, actor="me", reason="")
            return repository.staged(connection)

    assert moved("1.1.0", Stage.STAGING) == {"fraud": ("1.1.0", "/somewhere")}
    assert moved("1.0.0", Stage.STAGING) == {"fraud": ("1.0.0", "/somewhere")}
    assert moved("1.0.0", Stage.ARCHIVED) == {"fraud": ("1.1.0", "/somewhere")}
    assert moved("1.1.0", Stage.PRODUCTION) == {}
