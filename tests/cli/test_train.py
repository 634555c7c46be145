from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calling import serinus


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nothing.csv"], "nothing.csv"),
        (["--data", "iris", "--target", "colour"], "colour"),
        (["--data", "iris", "--algorithm", "magic"], "magic"),
        (["--data", "iris", "--test-size", "2"], "test_size"),
        (["--data", "iris", "--param", "C"], "--param"),
    ],
)
def test_bad_input_is_2_and_registers_nothing(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    answer = serinus("train", "--model", "flowers", *arguments, "--json", home=tmp_path / "home")

    assert answer.code == 2, answer.err
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert answer.json["error"]["status"] in (404, 422)
    assert not (tmp_path / "home" / "artifacts").exists()


def test_folder_that_cannot_be_written_is_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    answer = serinus("train", "--data", "iris", "--model", "m", home=tmp_path / "file" / "home")

    assert answer.code == 2
    assert "the state folder cannot be written" in answer.err
    assert answer.err.count("\n") == 2


def test_training_says_what_it_learned_from(tmp_path: Path) -> None:
    rows = [f"{n % 17},{n % 5},same,{'yes' if n % 33 == 0 else 'no'}" for n in range(660)]
    data = tmp_path / "rows.csv"
    data.write_text("\n".join(["age,income,shop,target", *rows]))

    answer = serinus("train", "--data", str(data), "--model", "fraud", home=tmp_path / "home")

    assert answer.code == 0, answer.err
    assert "Read 660 rows of 4 columns; 2 are inputs." in answer.out
    assert "Mind: column 'shop': every value is 'same'. It is not used" in answer.out
    assert "Classes of target: no 97.0%, yes 3.0%." in answer.out
