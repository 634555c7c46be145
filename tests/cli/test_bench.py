from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calling import serinus


@pytest.mark.parametrize("option", ["--seconds", "--rounds", "--connections"])
def test_serve_refuses_what_makes_no_sense(tmp_path: Path, option: str) -> None:
    answer = serinus("bench", "serve", option, "0", home=tmp_path)

    assert answer.code == 2
    assert option in answer.err


def test_serve_refuses_a_part_that_is_none(tmp_path: Path) -> None:
    answer = serinus("bench", "serve", "--only", "logistic,lattency", home=tmp_path)

    assert answer.code == 2
    assert "there is no part 'lattency'" in answer.err
