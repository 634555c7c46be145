from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calling import serinus


@pytest.mark.parametrize("features", ['{"a":', "[]", '[{"a": 1}, 2]', '"text"', "1"])
def test_features_that_are_none_are_2(tmp_path: Path, features: str) -> None:
    typed = serinus("predict", features, "--json", home=tmp_path)
    piped = serinus("predict", home=tmp_path, text=features)

    assert (typed.code, piped.code) == (2, 2)
    assert typed.json["error"]["where"] == "features"
    assert typed.err == piped.err


@pytest.mark.parametrize(
    ("features", "option"),
    [('[{"a": 1}, {"a": 2}]', "--entity"), ('{"a": 1}', "--entity-column")],
    ids=["list", "single"],
)
def test_an_entity_is_never_left_aside(tmp_path: Path, features: str, option: str) -> None:
    answer = serinus("predict", features, option, "c", "--json", home=tmp_path)

    assert answer.code == 2
    assert answer.json["error"]["where"] == option


def test_a_list_has_an_entity_for_each(tmp_path: Path) -> None:
    rows = '[{"a": 1, "who": "ann"}, {"a": 2}]'

    answer = serinus("predict", rows, "--entity-column", "who", "--json", home=tmp_path)

    assert answer.code == 2
    assert answer.json["error"]["where"] == "row 1, entity_column"
