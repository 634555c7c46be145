"""Segments archived by a process that ends: the same files, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from tests.ledger.archive.conftest import Kept, names, prediction

from serinus.bench import usage
from serinus.errors import NotFound, Unavailable
from serinus.ledger.archive import apart as module
from serinus.ledger.archive.apart import CompactionApart, Task
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.compaction import Compaction
from serinus.ledger.archive.rows import Names


def apart(kept: Kept, asked: Names = names, *, archive: Path | None = None) -> CompactionApart:
    catalog = kept.catalog if archive is None else Catalog(archive)
    return CompactionApart(kept.folder / "ledger", catalog, asked)


def processes() -> list[int]:
    """Those that archive for this one."""
    return [
        pid
        for pid in usage.children(os.getpid())
        if module._CHILD.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def test_run_leaves_the_files_that_compaction_here_leaves(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ("fraud", "unknown")
    kept.write([prediction(number, model=models[number % 2]) for number in range(200)])
    asked: list[tuple[str, str]] = []

    def told(model: str, version: str) -> tuple[str, ...] | None:
        asked.append((model, version))
        return names(model, version)

    assert apart(kept, told).run(60.0) == 1
    assert asked == [("fraud", "1.0.0"), ("unknown", "1.0.0")]
    here = Catalog(tmp_path / "here")
    Compaction(kept.segments, here, names).run()
    files = [path.relative_to(kept.catalog.folder) for path in kept.files()]
    assert files
    for file in files:
        assert (kept.catalog.folder / file).read_bytes() == (here.folder / file).read_bytes()
    # With nothing to do, there is no process.
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert apart(kept).run(60.0) == 0


def test_killed_process_is_told_and_its_segment_is_archived_later(kept: Kept) -> None:
    kept.write([prediction(1)])

    def killing(model: str, version: str) -> None:
        (pid,) = processes()
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match="ended with -9"):
        apart(kept, killing).run(60.0)
    assert len(kept.catalog.pending(kept.segments.listed())) == 1
    assert apart(kept).run(60.0) == 1
    assert processes() == []


def test_process_that_hangs_is_killed_and_lets_go(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OVERDUE_SECONDS", 2.0)
    kept.write([prediction(1)])

    def halting(model: str, version: str) -> None:
        (pid,) = processes()
        os.kill(pid, signal.SIGSTOP)

    with pytest.raises(Unavailable, match=r"had not ended after 2\.5 s, and was killed"):
        apart(kept, halting).run(0.5)
    assert processes() == []
    assert len(kept.catalog.pending(kept.segments.listed())) == 1


def test_words_of_a_library_are_no_messages(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "class Loud:\n"
        "    def find_spec(self, name, *more):\n"
        "        if name == 'pyarrow':\n"
        "            print('a word of Python', flush=True)\n"
        "            os.write(1, b'a word of C\\n')\n"
        "sys.meta_path.insert(0, Loud())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    kept.write([prediction(1)])
    assert apart(kept).run(60.0) == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == "a word of Python\na word of C\n"


def test_modules_of_the_working_directory_are_not_its_own(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('of somebody else')\n")
    monkeypatch.chdir(tmp_path)
    kept.write([prediction(1)])
    assert apart(kept).run(60.0) == 1


def test_its_error_is_told_here(kept: Kept, tmp_path: Path) -> None:
    kept.write([prediction(1)])
    occupied = tmp_path / "occupied"
    occupied.write_text("a file")
    with pytest.raises(Unavailable, match="the archive cannot be written") as caught:
        apart(kept, archive=occupied).run(60.0)
    assert caught.value.where == str(occupied)
    assert "writable" in caught.value.remedy


def test_question_without_an_answer_ends_the_process(kept: Kept) -> None:
    kept.write([prediction(1)])

    def failing(model: str, version: str) -> None:
        raise NotFound("the store is away")

    with pytest.raises(NotFound, match="away"):
        apart(kept, failing).run(60.0)
    assert processes() == []


@pytest.mark.parametrize("address", [Path("/a/ledger"), "redis://:word@host:6379/0"])
def test_task_says_where_the_ledger_is(address: Path | str) -> None:
    task = Task(str(address), isinstance(address, Path), "/archive", 1.0)
    assert task.address == address
