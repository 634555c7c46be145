from __future__ import annotations

from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from tests.api.running import MANIFEST, MODEL, Faces
from tests.cli.calling import Answer, serinus
from tests.serving.samples import save

from serinus.registry import folders
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


def test_package_shows_what_was_tried_and_renews_it_with_rows(faces: Faces, tmp_path: Path) -> None:
    rows = pd.DataFrame({"amount": np.linspace(1, 9, 40), "age": np.arange(40.0)})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    fitted = LogisticRegression(max_iter=9_000).fit(rows, (rows["amount"] > 5).astype(int))
    faces.register("1.0.0", uri=save(tmp_path / "version", fitted, MANIFEST))

    nothing = call(faces, "models", "package", MODEL, "1.0.0")
    options = ("--data", str(tmp_path / "rows.csv"), "--quantize", "0.01")
    made = call(faces, "models", "package", MODEL, "1.0.0", *options, "--json").json
    shown = call(faces, "models", "package", MODEL, "1.0.0")

    assert nothing.out == "Served as estimator.\nNothing was tried.\n"
    assert made["form"] == "onnx"
    assert [item["form"] for item in made["attempts"]] == ["onnx", "onnx-int8"]
    assert "Served as ONNX" in shown.out
    assert "the same on 40 real rows" in " ".join(shown.out.split())
    assert "not converted" in " ".join(shown.out.split())


def test_register_says_in_which_form_it_is_served_and_why(faces: Faces, tmp_path: Path) -> None:
    rows = pd.DataFrame({"amount": np.linspace(1, 9, 40), "age": np.arange(40.0)})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    fitted = LogisticRegression(max_iter=9_000).fit(rows, (rows["amount"] > 5).astype(int))
    folder = str(tmp_path / "theirs")
    mlflow.sklearn.save_model(
        fitted,
        folder,
        signature=folders.signature_of(MANIFEST),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    faces.register("1.0.0", params={})

    unproven = call(faces, "models", "register", MODEL, folder, "--version", "2.0.0").out
    following = call(faces, "models", "register", MODEL, folder).out
    options = ("--version", "3.0.0", "--data", str(tmp_path / "rows.csv"))
    proven = call(faces, "models", "register", MODEL, folder, *options).out

    for told, version in ((unproven, "2.0.0"), (following, "2.0.1")):
        registered, served = told.splitlines()
        assert registered.startswith(f"Registered {MODEL} {version}.")
        assert served.startswith("Served as estimator, not as ONNX: not proven: there are ")
        assert served.endswith(f"run: serinus models package {MODEL} {version} --data FILE")
    assert proven.splitlines()[1].startswith("Served as ONNX (opset ")
    assert "the same on 40 real rows" in proven


def test_show_tells_how_to_ask_the_version_in_staging(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    none = call(faces, "models", "show", MODEL)
    faces.register("1.1.0", stage=Stage.STAGING)
    told = call(faces, "models", "show", MODEL)

    assert "Staging, unseen" not in none.out
    assert "Try 1.1.0 in Staging, unseen by production:" in told.out
    plain = "".join(told.out.split())
    assert '--data\'{"features":{"amount":12.5,"age":41.0}}\'' in plain
    assert f"/staging/models/{MODEL}/predict" in plain
