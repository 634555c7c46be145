"""Every example of docs/reference/ledger.md, on an installation that has served."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from tests.api.running import MODEL, Faces
from tests.test_docs import ROOT, blocks
from typer.testing import CliRunner

from serinus import clock
from serinus.cli.root import app
from serinus.ledger.archive.rows import COLUMNS, Kind
from serinus.wire import Arm, Assignment, Label, Output, Prediction

PAGE = ROOT / "docs" / "reference" / "ledger.md"


@pytest.fixture
def home(faces: Faces) -> Path:
    faces.register("1.0.0")
    given = Assignment(MODEL, Arm.CHAMPION, 0.0, 1)
    now = clock.epoch_us()
    about = [
        Prediction(now + n, given, "1.0.0", (n / 4, 20 + n), Output(n % 2, (0.5, 0.5)), 700)
        for n in range(50)
    ]
    ids = faces.writer.append(about)
    faces.writer.append([Label(now, ids[3], 1, now, given, "1.0.0", Output(1))])
    faces.writer.close()
    faces.app.archiving.compact()
    return faces.app.settings.home


def test_every_example_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    ran = 0
    for block in blocks(PAGE):
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.code, PAGE, "exec"), {})
        elif block.language == "bash":
            for command in " ".join(block.code.splitlines()).split("serinus ledger ")[1:]:
                words = ["--home", str(home), "ledger", *shlex.split(command)]
                done = CliRunner().invoke(app, words)
                assert done.exit_code == 0, (command, done.output, done.exception)
                ran += 1
        else:
            assert block.language == ""
    assert ran == 8
    assert (home / "labels.csv").exists()


def test_page_names_every_table_and_column_once_for_all() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in Kind:
        assert f"| `{kind}` |" in text
        for column in COLUMNS[kind]:
            name = column.name.removesuffix("_number").removesuffix("_type")
            assert f"`{name}`" in text or column.type == "bytes", (kind, name)
