from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calling import serinus


@pytest.mark.parametrize(
    ("content", "target", "words"),
    [
        (None, "y", "rows.csv"),
        ("", "y", "rows.csv"),
        ("a,b\n1,2\n", "y", "y"),
    ],
)
def test_data_that_cannot_be_used_is_2_and_starts_nothing(
    tmp_path: Path, content: str | None, target: str, words: str
) -> None:
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_text(content)

    answer = serinus("demo", "--data", str(path), "--target", target, "--json", home=tmp_path)

    assert answer.code == 2, answer.err
    assert "Traceback" not in answer.err
    assert words in answer.err
    assert answer.json["error"]["status"] in (404, 422)


def test_keep_does_not_touch_an_earlier_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "serinus-demo").mkdir()

    answer = serinus("demo", "--keep", home=tmp_path)

    assert answer.code == 2
    assert "earlier demo" in answer.err
    assert list((tmp_path / "serinus-demo").iterdir()) == []
