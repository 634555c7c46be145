"""Keras's networks, from what MLflow holds to the same answers from a graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.registry.packaging import networks

from serinus.registry import imported
from serinus.registry.packaging import child
from serinus.registry.packaging.types import Task

pytestmark = networks.QUIET


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_network_of_keras_is_proven_equal(tmp_path: Path, outputs: int) -> None:
    source = networks.save_keras(tmp_path / "logged", networks.keras_network(outputs))
    about, _ = imported.manifest_from(source, "net", "y")
    assert about.classes == ((0, 1, 2) if outputs > 1 else ())
    uri = imported.bring_in(source, about, artifacts=tmp_path)
    rows = imported.example_rows(uri, about)
    given = Task(folder=uri, manifest=about, rows=rows, double=1e-6, single=1e-5)
    (tmp_path / "work").mkdir()

    made = child.Packaging(given, tmp_path / "work").run()

    assert [(item.form, item.outcome) for item in made.attempts] == [("onnx", "used")]
    assert made.rows == 64
