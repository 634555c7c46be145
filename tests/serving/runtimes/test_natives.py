import warnings
from pathlib import Path

import pytest
import yaml
from tests.serving import samples

from serinus.serving.runtimes import natives


def flavors(folder):
    return yaml.safe_load((Path(folder) / "MLmodel").read_text())["flavors"]


@pytest.mark.parametrize("form", ["pickle", "cloudpickle", "skops"])
def test_load_an_estimator_in_every_form(tmp_path, form):
    folder = samples.save(tmp_path / "m", samples.logistic(), samples.number_manifest(), form=form)
    model = natives.load(Path(folder), flavors(folder))
    assert model.predict_proba(samples.number_rows(1, 0)).shape == (1, 2)


pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def test_load_of_xgboosts_own_flavor_and_of_its_booster(tmp_path):
    import xgboost

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.xgboost

        rows = samples.number_rows(40, 0)
        model = xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0])
        mlflow.xgboost.save_model(model, str(tmp_path / "a"), pip_requirements=["xgboost"])
        booster = model.get_booster()
        mlflow.xgboost.save_model(booster, str(tmp_path / "b"), pip_requirements=["xgboost"])
    found = natives.load(tmp_path / "a", flavors(tmp_path / "a"))
    assert found.predict(rows).tolist() == model.predict(rows).tolist()
    # It takes matrices of its own, which MLflow's wrapper makes.
    assert natives.load(tmp_path / "b", flavors(tmp_path / "b")) is None


@pytest.mark.parametrize("form", ["skops", "cloudpickle"])
def test_load_of_lightgbms_own_flavor(tmp_path, form):
    lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is an extra")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.lightgbm

        rows = samples.number_rows(40, 0)
        model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(rows, rows[:, 0])
        mlflow.lightgbm.save_model(
            model, str(tmp_path / "a"), serialization_format=form, pip_requirements=["lightgbm"]
        )
        found = natives.load(tmp_path / "a", flavors(tmp_path / "a"))
        assert found.predict(rows).tolist() == model.predict(rows).tolist()


def test_load_of_what_needs_mlflow(tmp_path):
    assert natives.load(tmp_path, {"python_function": {"loader_module": "mlflow.pytorch"}}) is None
    code = {"python_function": {"code": "code"}, "sklearn": {"pickled_model": "model.pkl"}}
    assert natives.load(tmp_path, code) is None
