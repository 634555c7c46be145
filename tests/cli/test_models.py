from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.cli.calling import Answer, serinus

from serinus.registry.types import Stage


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


def test_models_are_listed_shown_and_compared(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0", metrics={"accuracy": 0.97})

    listed = call(faces, "models", "list", "--json").json
    shown = call(faces, "models", "show", MODEL)
    compared = call(faces, "models", "compare", MODEL, "1.0.0", "1.1.0")

    assert [item["champion"] for item in listed["models"]] == ["1.0.0"]
    assert shown.code == 0
    assert "1.1.0" in shown.out
    assert "Production" in shown.out
    assert "0.97" in compared.out
    as_json = call(faces, "models", "compare", MODEL, "1.0.0", "1.1.0", "--json").json
    assert as_json["metrics"]["accuracy"] == [0.95, 0.97]


def test_promote_by_hand_keeps_the_reason(faces: Faces) -> None:
    faces.register("1.0.0")

    answer = call(faces, "models", "promote", MODEL, "1.0.0", "--reason", "first", "--json")

    assert answer.json["stage"] == "Production"
    assert faces.app.registry.history(MODEL, 1)[0].reason == "first"
    assert faces.app.registry.history(MODEL, 1)[0].actor == "cli"


def test_unknown_model_is_2_with_the_problem_as_json(faces: Faces) -> None:
    faces.register("1.0.0")

    answer = call(faces, "models", "show", "nobody", "--json")

    assert answer.code == 2
    assert answer.json["error"]["title"] == "Not found"
    assert MODEL in answer.err


def test_register_of_nothing_is_2(faces: Faces) -> None:
    answer = call(faces, "models", "register", MODEL, "/no/such/folder")

    assert answer.code == 2
    assert "no MLflow model" in answer.err
