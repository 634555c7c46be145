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


@pytest.mark.parametrize("told", [[], ["1", "--value", "nan"], ["--value", "-inf"]])
def test_feedback_that_tells_nothing_is_2(tmp_path: Path, told: list[str]) -> None:
    answer = serinus("feedback", "0" * 32, *told, "--json", home=tmp_path)

    assert answer.code == 2
    assert "--value" in answer.json["error"]["where"]


def test_no_gateway_is_said_so(tmp_path: Path) -> None:
    answer = serinus("--set", "gateway_port=9", "feedback", "0" * 32, "1", home=tmp_path)

    assert answer.code == 1
    assert "no gateway answers at http://127.0.0.1:9" in answer.err
