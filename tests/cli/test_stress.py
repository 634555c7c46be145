from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calling import serinus


@pytest.mark.parametrize("proof", ["swap", "kill", "fuzz"])
def test_stress_tells_its_options(proof: str, tmp_path: Path) -> None:
    answer = serinus("stress", proof, "--help", home=tmp_path)
    assert answer.code == 0
    assert "--seed" in answer.out
    assert "--json" in answer.out


def test_stress_that_holds_ends_with_one_line_of_json(tmp_path: Path) -> None:
    answer = serinus("stress", "fuzz", "--only", "0", "--seed", "4", "--json", home=tmp_path)
    assert answer.code == 0, answer.out + answer.err
    assert len(answer.out.splitlines()) == 1
    assert answer.json["passed"]
    assert answer.json["seed"] == 4
    assert list(tmp_path.iterdir()) == []


def test_stress_refuses_what_proves_nothing(tmp_path: Path) -> None:
    answer = serinus("stress", "kill", "--kills", "0", home=tmp_path)
    assert answer.code == 2
