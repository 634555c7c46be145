import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC
from tests.registry.packaging import fitted
from tests.serving import samples

from serinus.errors import InvalidInput
from serinus.serving.runtimes import artifacts, outcomes
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.onnx import OnnxRuntime
from serinus.wire import PACKAGE_FILE, Field, Output, Package, Target

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")
NUMBERS = st.floats(-1e6, 1e6)


def packaged(folder, model, manifest):
    """A version's folder with a graph in use, as packaging leaves it."""
    uri = samples.save(folder, model, manifest)
    fitted.graph(model, manifest, folder)
    (folder / PACKAGE_FILE).write_bytes(msgspec.json.encode(Package("onnx", "graph.onnx")))
    return uri


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    folder = tmp_path_factory.mktemp("version")
    return packaged(folder / "m", samples.logistic(), samples.number_manifest())


@settings(max_examples=50)
@given(rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=40))
def test_a_graph_answers_as_the_estimator(version, rows):
    graph = artifacts.load("numbers", Target("1", version))
    assert isinstance(graph, OnnxRuntime)
    original = SklearnRuntime(samples.logistic(), samples.number_manifest())
    for ours, theirs in zip(graph.answer(rows), original.answer(rows), strict=True):
        assert ours.scores == pytest.approx(theirs.scores, abs=1e-9)
        assert ours.value == theirs.value or max(theirs.scores) < 0.5 + 1e-9


def test_a_missing_number_makes_no_answer(version):
    graph = artifacts.load("numbers", Target("1", version))
    first, second = graph.answer([(None, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0)])
    assert first == outcomes.UNUSABLE
    assert isinstance(second, Output)


def test_scores_come_in_the_manifests_order(tmp_path):
    model = samples.logistic()
    turned = fitted.graph(model, samples.number_manifest(classes=(1, 0)), tmp_path)
    straight = fitted.graph(model, samples.number_manifest(), tmp_path)
    rows = samples.number_rows(20, 0).tolist()
    for one, other in zip(turned.answer(rows), straight.answer(rows), strict=True):
        assert (one.value, one.scores[::-1]) == (other.value, other.scores)


def test_a_model_fitted_on_positions_answers_in_classes(tmp_path):
    graph = fitted.graph(samples.logistic(), samples.number_manifest(classes=("a", "b")), tmp_path)
    assert {row.value for row in graph.answer(samples.number_rows(40, 0).tolist())} == {"a", "b"}


def test_a_regression_and_a_classifier_without_scores(tmp_path):
    rows = samples.number_rows(60, 0)
    manifest = samples.number_manifest(task="regression", classes=())
    graph = fitted.graph(LinearRegression().fit(rows, rows[:, 0] * 2 + 1), manifest, tmp_path)
    assert graph.answer([(3.0, 0.0, 0.0, 0.0)])[0].value == pytest.approx(7.0)
    assert graph.answer([(None, 0.0, 0.0, 0.0)]) == [outcomes.UNUSABLE]
    choice = LinearSVC().fit(rows, rows[:, 0] > 0)
    graph = fitted.graph(choice, samples.number_manifest(classes=(False, True)), tmp_path)
    assert graph.answer([(9.0, 0, 0, 0), (-9.0, 0, 0, 0)]) == [Output(True), Output(False)]


def test_texts_and_numbers_each_have_their_table(tmp_path):
    fields = (Field("town", "string"), Field("n", "long"), Field("flag", "boolean"))
    manifest = samples.number_manifest(task="regression", classes=(), inputs=fields, example={})
    encode = make_pipeline(
        SimpleImputer(missing_values=np.nan, strategy="constant", fill_value="none"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    parts = ColumnTransformer([("t", encode, ["town"]), ("n", "passthrough", ["n", "flag"])])
    rows = [("Ulm", 1, True), (None, 2, False), ("Bonn", 3, True), ("Ulm", 4, False)] * 5
    frame = SklearnRuntime(LinearRegression(), manifest)._frames.build(rows)
    model = make_pipeline(parts, LinearRegression()).fit(frame, np.arange(20.0))
    graph = fitted.graph(model, manifest, tmp_path)
    for row in [*rows[:4], ("Jena", 7, True)]:
        expected = SklearnRuntime(model, manifest).answer([row])[0].value
        assert graph.answer([row])[0].value == pytest.approx(expected)


def test_a_graph_of_another_version_is_refused(tmp_path):
    fitted.graph(samples.logistic(), samples.number_manifest(), tmp_path)
    texts = samples.number_manifest(inputs=(Field("a", "string"),))
    with pytest.raises(InvalidInput, match="the graph takes"):
        OnnxRuntime(tmp_path / "graph.onnx", texts)
    with pytest.raises(InvalidInput, match="knows the classes"):
        OnnxRuntime(tmp_path / "graph.onnx", samples.number_manifest(classes=("a", "b", "c")))


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_graph_leaves_the_original_in_service(tmp_path, caplog, damage):
    uri = packaged(tmp_path / "m", samples.logistic(), samples.number_manifest())
    path = tmp_path / "m" / "graph.onnx"
    path.write_bytes(damage) if damage is not None else path.unlink()
    runtime = artifacts.load("numbers", Target("7", uri))
    assert isinstance(runtime, SklearnRuntime)
    assert isinstance(runtime.answer([(1.0, 2.0, 3.0, 4.0)])[0], Output)
    assert "numbers@7 is served by its original: its graph fails" in caplog.text


def test_a_graph_that_cannot_answer_the_example_leaves_the_original_in_service(tmp_path):
    manifest = samples.number_manifest()
    uri = packaged(tmp_path / "m", samples.logistic(), manifest)
    other = LogisticRegression().fit(np.eye(4)[:, :2], [0, 1, 0, 1])
    narrow = samples.number_manifest(inputs=samples.NUMBERS[:2])
    fitted.graph(other, narrow, tmp_path / "m")
    assert isinstance(artifacts.load("numbers", Target("1", uri)), SklearnRuntime)


HEAVY = ("pandas", "sklearn", "scipy", "mlflow", "onnx", "skl2onnx", "xgboost", "lightgbm")
SMALL = f"""
import sys
from serinus.serving.runtimes import artifacts
from serinus.wire import Target
artifacts.load("numbers", Target("1", sys.argv[1])).answer([(1.0, 2.0, 3.0, 4.0)])
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_a_process_of_graphs_alone_loads_no_training_library(version):
    command = [sys.executable, "-c", SMALL, version]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
    assert Path(version).exists()
