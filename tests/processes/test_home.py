from __future__ import annotations

import os
from pathlib import Path

import pytest

from serinus.errors import Conflict, InvalidInput
from serinus.processes import home


def test_prepare_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    for _ in range(2):
        home.prepare(tmp_path / "a" / "b")

    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_prepare_refuses_what_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(InvalidInput) as refusal:
        home.prepare(tmp_path / "file" / "home")

    assert refusal.value.where == str(tmp_path / "file" / "home")
    assert "--home" in refusal.value.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_prepare_refuses_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(InvalidInput, match="cannot be written"):
        home.prepare(tmp_path)


def test_held_folder_takes_no_second_installation(tmp_path: Path) -> None:
    with home.held(tmp_path), pytest.raises(Conflict, match="another `serinus up`"):
        home.held(tmp_path).__enter__()
    with home.held(tmp_path):
        pass
