"""The documents are true: blocks run, tables are complete, links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType

import pytest

from serinus import settings
from serinus.settings import Settings

ROOT = Path(__file__).parents[1]
_PLANS = ROOT / "docs" / "reference" / "plans.md"
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), _PLANS,
]  # fmt: skip
EVERY_PAGE = sorted({*PAGES, *(ROOT / "docs").glob("*/*.md")})


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``line`` is where its code begins."""

    language: str
    code: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text[: found.start(2)].count("\n") + 1)
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def by_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def is_make(block: Block) -> bool:
    """Commands that run this very test; .ci/run runs them instead."""
    lines = block.code.strip().splitlines()
    return block.language == "bash" and all(
        line.startswith(("make", "git clone")) for line in lines
    )


def needs_installation(page: Path) -> bool:
    return any(block.language == "console" for block in blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_page_has_only_blocks_that_are_run_or_shown(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {"python", "bash", "console", ""}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page) and not needs_installation(page)], ids=by_name
)
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page, lambda code: code)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page for page in PAGES if needs_installation(page)], ids=by_name)
def test_page_runs_beside_an_installation(
    page: Path,
    tmp_path: Path,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    control, gateway = free_port(), free_port()
    monkeypatch.setenv("SERINUS_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SERINUS_CONTROL_PORT", str(control))
    monkeypatch.setenv("SERINUS_GATEWAY_PORT", str(gateway))
    client = f'Serinus("http://127.0.0.1:{control}", "http://127.0.0.1:{gateway}")'
    commands = [block.code for block in blocks(page) if block.language == "console"]
    assert commands == ["$ serinus up\n"]
    with installation(tmp_path):
        run(
            page,
            lambda code: (
                code.replace("Serinus()", client)
                .replace(":8090", f":{control}")
                .replace(":8080", f":{gateway}")
            ),
        )


@contextmanager
def installation(folder: Path) -> Iterator[None]:
    """A running `serinus up`, with the settings of the environment."""
    command = [sys.executable, "-m", "serinus", "up", "--json"]
    log = (folder / "up.log").open("w+")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()  # it says so once everything answers
        assert '"control_url"' in ready, ready + Path(log.name).read_text(encoding="utf-8")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)
        log.close()


def run(page: Path, adapt: Callable[[str], str]) -> None:
    """Run the blocks of a page in order: Python in one namespace, the shell in one folder."""
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            # Blank lines in front make a traceback point into the page itself.
            source = "\n" * (block.line - 1) + adapt(block.code)
            exec(compile(source, page, "exec"), names)
        elif block.language == "bash" and not is_make(block):
            shell(adapt(block.code), f"{by_name(page)}:{block.line}")


def shell(code: str, place: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{place}\n{code}\n{done.stdout}\n{done.stderr}"


def test_make_commands_of_the_readme_are_run_by_ci() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in blocks(ROOT / "README.md"):
        if is_make(block):
            for line in block.code.strip().splitlines():
                command = line.split("#")[0].strip()
                if command.startswith("make"):
                    assert re.search(rf"^{re.escape(command)}\b", script, re.MULTILINE), command
                    assert f"\n{command.split()[1]}:" in makefile


@pytest.mark.parametrize("page", EVERY_PAGE, ids=by_name)
def test_page_links_lead_somewhere(page: Path) -> None:
    broken = []
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        place, _, heading = target.partition("#")
        linked = (page.parent / place).resolve() if place else page
        if not linked.exists() or (heading and heading not in headings(linked)):
            broken.append(target)
    assert broken == []


def headings(page: Path) -> set[str]:
    """The anchors that a reader of Markdown makes of a page's headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in found}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/reference/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings", "errors"])
def test_reference_is_what_the_code_says(name: str) -> None:
    page = ROOT / "docs" / "reference" / f"{name}.md"
    written = getattr(generator(), f"{name}_page")()
    assert page.read_text(encoding="utf-8") == written, "run docs/reference/generate.py"


def test_settings_page_has_a_row_and_a_heading_for_each() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for item in fields(Settings):
        assert f"\n### {item.name}\n" in text
        assert f"| [`{item.name}`](#{item.name}) |" in text


def test_settings_page_example_can_be_used(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "docs" / "reference" / "settings.md")
    (tmp_path / "serinus.toml").write_text(example.code, encoding="utf-8")
    found, _ = settings.load({}, home=tmp_path)
    assert found.gateway_workers == 4


def test_settings_have_a_sentence_each() -> None:
    for item in fields(Settings):
        assert re.fullmatch(r"[A-Z].*\.", item.metadata["doc"]), item.name


def test_architecture_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "serinus"
    rooms = {f"`{path.name}/`" for path in source.iterdir() if (path / "__init__.py").exists()}
    rooms |= {f"`{path.name}`" for path in source.glob("*.py") if not path.name.startswith("_")}
    assert {room for room in rooms if room not in text} == set()


def test_glossary_is_in_alphabetical_order_without_repetition() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", text, re.MULTILINE)
    plain = [re.sub(r"\W", " ", word.replace("α (alpha)", "alpha")).lower() for word in words]
    assert plain == sorted(set(plain))


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 105
