from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serinus.registry import folders, loadable
from serinus.registry.types import ModelVersion, Stage
from serinus.wire import Manifest

MANIFEST = Manifest("fraud", "classification", (), "is_fraud", (0, 1))


def version(uri: str) -> ModelVersion:
    return ModelVersion(
        model="fraud", version="1.0.0", stage=Stage.NONE, uri=uri, run_id="", mlflow_version="",
        model_type="classification", task="classification", description="", parent=None,
        manifest=MANIFEST, metrics={}, params={}, tags={}, dataset={}, gates=(), reference={},
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip


@pytest.mark.parametrize("scheme", ["", "file://"], ids=["path", "file"])
def test_folder_with_its_manifest_can_be_loaded(tmp_path: Path, scheme: str) -> None:
    folder = tmp_path / "a model"
    folder.mkdir()
    folders.write_manifest(folder, MANIFEST)

    assert (
        loadable.why_not(version(scheme + str(folder).replace(" ", "%20" if scheme else " "))) == ""
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"{", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"model":"x","task":"regression","inputs":[],"target":"y"}', "is of 'x'"),
    ],
    ids=["none", "no_json", "no_manifest", "of_another"],
)
def test_folder_without_its_manifest_cannot(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "serinus.json").write_bytes(content)

    assert said in loadable.why_not(version(str(tmp_path)))


def test_folder_that_is_gone_is_named_and_object_stores_are_left_to_the_gateways() -> None:
    assert "/nowhere/at/all does not exist" in loadable.why_not(version("/nowhere/at/all"))
    assert loadable.why_not(version("s3://bucket/model")) == ""
