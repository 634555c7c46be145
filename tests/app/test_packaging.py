from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.api.running import MODEL, Faces
from tests.registry.packaging import fitted
from tests.serving.samples import save

from serinus import wire
from serinus.app import App, packaging
from serinus.errors import Conflict, NotFound
from serinus.registry.types import Candidate
from serinus.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ABOUT = wire.Manifest(MODEL, "classification", fitted.manifest((0, 1)).inputs, "y", (0, 1), {})


def registered(app: App, folder: Path, source: str = "") -> None:
    """Version 1.0.0 of a model over numbers, and the file that it was trained on."""
    frame = fitted.numbers()
    model = LogisticRegression(max_iter=9_000).fit(frame, fitted.truth(frame, (0, 1)))
    app.registry.register(
        Candidate(
            uri=save(folder / "version", model, ABOUT),
            manifest=ABOUT,
            model_type="classification",
            version="1.0.0",
            dataset={"source": source},
        )
    )


def test_a_version_is_packaged_on_the_rows_that_it_was_trained_with(
    faces: Faces, tmp_path: Path
) -> None:
    data = tmp_path / "rows.csv"
    fitted.numbers().assign(y=1).to_csv(data, index=False)
    registered(faces.app, tmp_path, str(data))
    assert packaging.shown(faces.app, MODEL, "1.0.0") == wire.Package(form="estimator")

    with faces.client as client:
        made = client.renew_package(MODEL, "1.0.0")
        assert client.package(MODEL, "1.0.0") == made

    assert (made.form, made.rows) == ("onnx", 300)


def test_a_version_whose_rows_are_gone_says_what_to_run(faces: Faces, tmp_path: Path) -> None:
    registered(faces.app, tmp_path, str(tmp_path / "gone.csv"))
    made = packaging.renew(faces.app, MODEL, "1.0.0", data=None, quantize=None)
    assert made.form == "estimator"
    assert f"serinus models package {MODEL} 1.0.0 --data FILE" in made.attempts[0].outcome
    with pytest.raises(NotFound):
        packaging.renew(faces.app, MODEL, "1.0.0", data=str(tmp_path / "no.csv"), quantize=None)


def test_an_installation_that_converts_nothing_says_so(faces: Faces, tmp_path: Path) -> None:
    registered(faces.app, tmp_path)
    settings = faces.app.settings
    without = App(Settings(home=settings.home, packaging_seconds=0))
    with pytest.raises(Conflict, match="packaging_seconds"):
        packaging.renew(without, MODEL, "1.0.0", data=None, quantize=None)
    without.engine.dispose()


def test_rows_in_a_file_are_the_manifests_inputs(tmp_path: Path) -> None:
    pd.DataFrame({"x1": [1.0], "x0": [2.0], "other": ["a"]}).to_csv(tmp_path / "r.csv", index=False)
    rows = packaging.rows_in(str(tmp_path / "r.csv"), ABOUT)
    assert rows == [(2.0, 1.0, None, None)]
