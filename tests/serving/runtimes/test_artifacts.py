import os
import sys
from pathlib import Path

import msgspec
import pytest
from tests.serving import samples
from tests.serving.runtimes import wild

from serinus.errors import InvalidInput
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.pyfunc import PyfuncRuntime
from serinus.serving.runtimes.types import ProcessLimits
from serinus.wire import MANIFEST_FILE, PACKAGE_FILE, Output, Package, Target

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


@pytest.mark.parametrize("path", ["../other/graph.onnx", "{other}/graph.onnx", "link.onnx", ".."])
def test_load_of_a_package_that_names_a_file_of_another_folder(tmp_path, path):
    uri = samples.save(tmp_path / "m", samples.logistic(), samples.number_manifest())
    other = tmp_path / "other"
    other.mkdir()
    (other / "graph.onnx").write_bytes(b"of another")
    (tmp_path / "m" / "link.onnx").symlink_to(other / "graph.onnx")
    package = Package(form="onnx", path=path.format(other=other))
    (tmp_path / "m" / PACKAGE_FILE).write_bytes(msgspec.json.encode(package))
    with pytest.raises(InvalidInput, match="outside of its folder") as caught:
        artifacts.load("numbers", Target("1", uri))
    assert caught.value.where.endswith(PACKAGE_FILE)
    assert artifacts.size(Target("1", uri)) == 0


def packaged_with(folder, python):
    """A version in a process of its own, with any program as its interpreter."""
    wild.save(folder, wild.wild(), wild.REGRESSION)
    package = Package(form="process", python=str(python))
    (folder / PACKAGE_FILE).write_bytes(msgspec.json.encode(package))
    return Target("1", str(folder))


@pytest.mark.parametrize(
    "python", ["/bin/sh", "sh", "{here}/environments/../evil", "{here}/environments/out/evil"]
)
def test_load_of_a_package_that_names_any_program(tmp_path, python):
    environments = tmp_path / "environments"
    environments.mkdir()
    (environments / "out").symlink_to(tmp_path)
    done = tmp_path / "done"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {done}\n")
    evil.chmod(0o755)
    target = packaged_with(tmp_path / "m", python.format(here=tmp_path))
    with pytest.raises(InvalidInput, match="in no environment made here"):
        artifacts.load("wild", target, ProcessLimits(environments=environments))
    assert not done.exists()


def test_load_of_a_package_that_names_an_interpreter_made_here(tmp_path):
    environments = tmp_path / "environments"
    made = environments / "0123" / "bin" / "python"
    made.parent.mkdir(parents=True)
    made.symlink_to(os.path.realpath(sys.executable))
    (tmp_path / "alias").symlink_to(environments)
    limits = ProcessLimits(environments=tmp_path / "alias")
    artifacts._check_interpreter(str(made), limits.environments)
    for name, python in enumerate(("", sys.executable)):
        runtime = artifacts.load("wild", packaged_with(tmp_path / f"m{name}", python), limits)
        assert runtime.answer([wild.row(x=2.0)]) == [Output(2.0)]
        runtime.close()
