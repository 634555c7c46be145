from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.registry.packaging import fitted, networks
from tests.serving import samples

from serinus.registry.packaging import proof
from serinus.registry.packaging.conversion import registered
from serinus.registry.packaging.types import Unconvertible
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.estimator import SklearnRuntime

pytestmark = networks.QUIET
ABOUT = fitted.manifest((0, 1))


def logged(folder: Path, name: str) -> Path:
    """A classifier as MLflow's own flavor of a library keeps it."""
    frame = fitted.numbers()
    target = fitted.truth(frame, (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "xgboost":
            import mlflow.xgboost
            import xgboost

            model: Any = xgboost.XGBClassifier(n_estimators=6, n_jobs=1).fit(frame, target)
            mlflow.xgboost.save_model(model, str(folder), pip_requirements=["xgboost"])
        else:
            lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is an extra")
            import mlflow.lightgbm

            model = lightgbm.LGBMClassifier(n_estimators=6, verbose=-1).fit(frame, target)
            mlflow.lightgbm.save_model(model, str(folder), pip_requirements=["lightgbm"])
    return folder


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_boosters_are_read_and_converted_without_mlflow(tmp_path: Path, name: str) -> None:
    folder = logged(tmp_path / "logged", name)
    original = artifacts.open_original(folder, ABOUT)
    assert isinstance(original, SklearnRuntime)
    made = registered.graph_of(folder, ABOUT)
    assert made.is_single is (name == "xgboost")
    (tmp_path / "graph").write_bytes(made.model.SerializeToString())
    rows = fitted.rows_of(fitted.numbers(), ABOUT)
    graph = artifacts.open_graph(tmp_path / "graph", ABOUT)
    assert proof.compare(proof.ask(original, rows, are_real=True), graph, 1e-5).fault == ""


def test_code_of_its_own_is_no_graph(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        def double(model_input: Any) -> Any:
            return np.asarray(model_input)[:, 0] * 2

        mlflow.pyfunc.save_model(
            str(tmp_path / "own"), python_model=double, pip_requirements=["pandas"]
        )
    with pytest.raises(Unconvertible, match="only Python runs"):
        registered.graph_of(tmp_path / "own", fitted.manifest())


def test_a_library_that_is_missing_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(Unconvertible, match="skl2onnx is not installed here"):
        registered.optional("serinus.registry.packaging.conversion.sklearn", "skl2onnx")


def test_a_network_of_texts_is_refused(tmp_path: Path) -> None:
    network = networks.torch_network(1)
    folder = Path(networks.save_torch(tmp_path / "logged", network))
    with pytest.raises(Unconvertible, match="has texts"):
        registered.graph_of(folder, samples.manifest())
