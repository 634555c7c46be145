from pathlib import Path

import pytest
from tests.serving import samples

from serinus.errors import InvalidInput
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.pyfunc import PyfuncRuntime
from serinus.wire import MANIFEST_FILE, Output, Target

pytestmark = [
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
    pytest.mark.filterwarnings("ignore:.*type hint"),
]


def test_load_a_saved_model(folders):
    runtime = artifacts.load("numbers", Target("1", folders["numbers"]))
    assert isinstance(runtime, SklearnRuntime)
    assert runtime.manifest == samples.number_manifest()
    assert isinstance(runtime.answer([(1.0, 2.0, 3.0, 4.0)])[0], Output)


def test_load_by_file_address(folders):
    address = Path(folders["numbers"]).as_uri()
    assert artifacts.load("numbers", Target("1", address)).manifest.model == "numbers"


@pytest.mark.parametrize("form", ["pickle", "skops"])
def test_load_other_serializations(tmp_path, form):
    uri = samples.save(tmp_path / "m", samples.logistic(), samples.number_manifest(), form=form)
    assert len(artifacts.load("numbers", Target("1", uri)).answer([(1.0,) * 4])) == 1


def test_load_an_mlflow_model_of_no_special_kind(tmp_path):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        import msgspec

        def double(model_input):
            return model_input["x0"] * 2

        folder = tmp_path / "pyfunc"
        mlflow.pyfunc.save_model(str(folder), python_model=double, pip_requirements=["pandas"])
        manifest = samples.number_manifest(task="regression", classes=())
        (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
        runtime = artifacts.load("numbers", Target("1", str(folder)))
        assert isinstance(runtime, PyfuncRuntime)
        assert runtime.answer([(1.5, 0.0, 0.0, 0.0)]) == [Output(3.0)]


def test_load_of_nothing(tmp_path):
    with pytest.raises(InvalidInput) as caught:
        artifacts.load("numbers", Target("1", str(tmp_path)))
    assert str(tmp_path) in caught.value.where


def test_load_of_another_model(folders):
    with pytest.raises(InvalidInput) as caught:
        artifacts.load("other", Target("1", folders["numbers"]))
    assert "numbers" in caught.value.what


@pytest.mark.parametrize("damaged", ["MLmodel", "model.pkl", MANIFEST_FILE])
def test_load_of_a_damaged_folder(tmp_path, damaged):
    uri = samples.save(tmp_path / "m", samples.logistic(), samples.number_manifest())
    (tmp_path / "m" / damaged).write_bytes(b"\x80nonsense: [")
    with pytest.raises(InvalidInput):
        artifacts.load("numbers", Target("1", uri))


def test_load_of_a_version_that_cannot_answer_its_example(tmp_path):
    manifest = samples.manifest(example={"age": 40.0, "mood": 1.0})
    uri = samples.save(tmp_path / "m", samples.obedient(), manifest)
    with pytest.raises(InvalidInput) as caught:
        artifacts.load("mood", Target("9", uri))
    assert "a mood of 1" in caught.value.what
    assert caught.value.where == "mood@9"
