from __future__ import annotations

from pathlib import Path

import pytest

from serinus.errors import InvalidInput
from serinus.training import profiles


def test_load_shipped_has_one_for_each_task() -> None:
    known = profiles.load()

    assert {known[task].task for task in ("classification", "regression")} == {
        "classification",
        "regression",
    }


def test_load_own_file(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('[risk]\ntask = "classification"\nleast = { recall = 0.9 }\n')

    assert profiles.load(path)["risk"].least == {"recall": 0.9}


@pytest.mark.parametrize(
    "text", ["[risk]\n", "not toml", '[risk]\ntask = "guessing"', '[r]\ntask="regression"\nx=1']
)
def test_load_unusable_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)

    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        profiles.load(path)

    assert caught.value.where == str(path)


@pytest.mark.parametrize(("name", "fact"), [("magic", "not known"), ("regression", "is of")])
def test_choose_unfitting_type_names_the_fitting(name: str, fact: str) -> None:
    with pytest.raises(InvalidInput, match=fact) as caught:
        profiles.choose(profiles.load(), name, "classification")

    assert "classification" in caught.value.remedy
