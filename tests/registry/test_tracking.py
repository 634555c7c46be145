from __future__ import annotations

import logging
from pathlib import Path

import mlflow
import pytest

from serinus.errors import Conflict, InvalidInput
from serinus.registry import tracking


def test_configure_sets_both_addresses_and_quiets_the_log(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/deep/mlflow.db"
    tracking.configure(uri)

    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == uri
    assert logging.getLogger("mlflow").level == logging.ERROR
    assert (tmp_path / "deep").is_dir()
    assert not (tmp_path / "deep" / "mlflow.db").exists()


def test_configure_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(InvalidInput, match="cannot be made") as caught:
        tracking.configure(f"sqlite:///{tmp_path}/file/below/mlflow.db")

    assert caught.value.where == str(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("uri", "known"),
    [
        ("sqlite:////x/mlflow.db", True),
        ("postgresql://u@h/n", True),
        ("http://h:5000", False),
        ("https://h", False),
    ],
)
def test_is_database(uri: str, known: bool) -> None:
    assert tracking.is_database(uri) is known


def test_is_database_unreadable_address() -> None:
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        tracking.is_database("somewhere")

    assert caught.value.where == "mlflow_tracking_uri"


def test_experiment_is_made_once_with_its_artifacts(tracking_uri: str, tmp_path: Path) -> None:
    made = tracking.experiment(tracking_uri, "fraud", tmp_path / "with space")
    again = tracking.experiment(tracking_uri, "fraud", tmp_path / "elsewhere")

    assert made == again
    found = tracking.client(tracking_uri).get_experiment(made)
    assert tracking.folder(found.artifact_location, tmp_path) == str(tmp_path / "with space")


def test_experiment_that_was_deleted_says_how_to_restore(tracking_uri: str, tmp_path: Path) -> None:
    made = tracking.experiment(tracking_uri, "fraud", tmp_path)
    tracking.client(tracking_uri).delete_experiment(made)

    with pytest.raises(Conflict, match="deleted") as caught:
        tracking.experiment(tracking_uri, "fraud", tmp_path)

    assert f"restore -x {made}" in caught.value.remedy


def test_folder_of_each_kind_of_location(tmp_path: Path) -> None:
    assert tracking.folder("file:///a/b%20c", tmp_path) == "/a/b c"
    assert tracking.folder("/a/b", tmp_path) == "/a/b"
    assert tracking.folder("s3://bucket/a", tmp_path) == "s3://bucket/a"
