"""PyTorch's networks, from what MLflow holds to the same answers from a graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.registry.packaging import networks

from serinus.registry import imported
from serinus.registry.packaging import child
from serinus.registry.packaging.types import Task
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.onnx import OnnxRuntime
from serinus.wire import Output

pytestmark = networks.QUIET


@pytest.mark.parametrize("form", ["pickle", "pt2"])
def test_a_classifier_by_its_tensors(tmp_path: Path, form: str) -> None:
    network = networks.torch_network(3, softmax=True)
    source = networks.save_torch(tmp_path / "logged", network, form=form)
    about, _ = imported.manifest_from(source, "net", "y")
    assert (about.task, about.classes) == ("classification", (0, 1, 2))
    assert [field.name for field in about.inputs] == ["f0", "f1", "f2", "f3"]
    uri = imported.bring_in(source, about, artifacts=tmp_path)
    rows = imported.example_rows(uri, about)
    given = Task(folder=uri, manifest=about, rows=rows, double=1e-6, single=1e-5)
    (tmp_path / "work").mkdir()

    made = child.Packaging(given, tmp_path / "work").run()

    assert [(item.form, item.outcome) for item in made.attempts] == [("onnx", "used")]
    assert (made.rows, made.tolerance) == (64, 1e-5)
    graph = artifacts.open_graph(tmp_path / "work" / "onnx", about)
    original = artifacts.open_original(Path(uri), about)
    for theirs, ours in zip(original.answer(rows), graph.answer(rows), strict=True):
        assert isinstance(theirs, Output)
        assert isinstance(ours, Output)
        assert ours.value == theirs.value
        assert ours.scores == pytest.approx(theirs.scores, abs=1e-6)


def test_a_regression_and_its_quantized_graph_by_named_columns(tmp_path: Path) -> None:
    source = networks.save_torch(tmp_path / "logged", networks.torch_network(1), named=True)
    about, _ = imported.manifest_from(source, "net", "y")
    assert (about.task, [field.name for field in about.inputs]) == ("regression", networks.NAMES)
    uri = imported.bring_in(source, about, artifacts=tmp_path)
    given = Task(
        folder=uri,
        manifest=about,
        rows=imported.example_rows(uri, about),
        double=1e-6,
        single=1e-5,
        quantize=1e-9,
    )
    (tmp_path / "work").mkdir()

    made = child.Packaging(given, tmp_path / "work").run()

    plain, small = made.attempts
    assert (plain.outcome, made.path) == ("used", "onnx")
    assert small.form == "onnx-int8"
    assert small.outcome.startswith("not equal on real rows: a difference of")
    assert isinstance(artifacts.open_graph(tmp_path / "work" / "onnx", about), OnnxRuntime)


def test_classes_with_names_come_from_metadata(tmp_path: Path) -> None:
    network = networks.torch_network(3, softmax=True)
    metadata = {"classes": ["low", "middle", "high"]}
    source = networks.save_torch(tmp_path / "logged", network, metadata=metadata)
    about, _ = imported.manifest_from(source, "net", "y")
    assert about.classes == ("low", "middle", "high")
