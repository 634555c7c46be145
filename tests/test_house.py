"""The house rules that no tool checks: sizes, names, mirrored tests, clean files."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "serinus"

FILE_LINES = 500
FUNCTION_LINES = 60
ARGUMENTS = 8
PROTOCOL_METHODS = 7
ADR_LINES = 130

HOMELESS = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}

# Modules without a test file of their own name, and where their tests are instead.
TESTED_ELSEWHERE = {
    "src/serinus/__main__.py": "tests/test_docs.py",
    "src/serinus/bench/peers/programs/bento.py": "tests/bench/peers/test_catalogue.py",
    "src/serinus/bench/peers/programs/fast.py": "tests/bench/peers/test_running.py",
    "src/serinus/bench/peers/programs/lit.py": "tests/bench/peers/test_catalogue.py",
    "src/serinus/demo/installation.py": "tests/acceptance/test_demo.py",
    "src/serinus/demo/story.py": "tests/acceptance/test_demo.py",
    "src/serinus/monitoring/advice.py": "tests/monitoring/test_monitor.py",
    "src/serinus/monitoring/drift.py": "tests/monitoring/test_monitor.py",
    "src/serinus/monitoring/repository.py": "tests/monitoring/test_monitor.py",
    "src/serinus/scheduling/child.py": "tests/scheduling/test_worker.py",
}


def tracked(*patterns: str) -> list[Path]:
    """The files that are in the repository or about to be: known to git, or not ignored by it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in found.split("\0") if name and (path := ROOT / name).is_file())


def modules() -> list[Path]:
    return [path for path in tracked("src") if path.suffix == ".py"]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_history(path: Path) -> bool:
    """Migrations are written once and never again: no sense in folding them small."""
    return "migrations/versions" in path.as_posix()


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{relative(path)}:{node.lineno} {node.name}", node


def test_files_are_short() -> None:
    sources = [path for path in tracked() if path.suffix in {".py", ".js", ".css", ".j2", ".html"}]
    assert sources
    counted = {relative(path): len(path.read_text("utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in counted.items() if lines > FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        place: lines
        for path in modules()
        if not is_history(path)
        for place, node in functions(path)
        if node.end_lineno is not None
        and (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_functions_take_few_arguments() -> None:
    greedy = {}
    for path in modules():
        for place, node in functions(path):
            given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            count = len([item for item in given if item.arg not in {"self", "cls"}])
            # A command's options and a route's parameters are its interface, not its size.
            if count > ARGUMENTS and not is_face(path, node):
                greedy[place] = count
    assert greedy == {}


def is_face(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    face = path.relative_to(SOURCE).parts[0] in {"cli", "api", "dashboard"}
    command = any(item.arg == "context" for item in node.args.args)
    return face and (command or bool(node.decorator_list))


def test_protocols_are_small() -> None:
    wide = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases):
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                if len(methods) > PROTOCOL_METHODS:
                    wide[f"{relative(path)}:{node.lineno} {node.name}"] = len(methods)
    assert wide == {}


def test_modules_have_a_subject() -> None:
    homeless = [
        relative(path)
        for path in modules()
        if HOMELESS & set(path.relative_to(SOURCE).parts) or path.stem in HOMELESS
    ]
    assert homeless == []


def test_modules_have_their_tests() -> None:
    missing = []
    for path in modules():
        name = relative(path)
        if not has_behaviour(path) or is_history(path):
            continue
        if not (ROOT / TESTED_ELSEWHERE.get(name, relative(mirror(path)))).exists():
            missing.append(name)
    assert missing == []


def mirror(path: Path) -> Path:
    return ROOT / "tests" / path.relative_to(SOURCE).with_name(f"test_{path.stem}.py")


def has_behaviour(path: Path) -> bool:
    """Whether there is anything to test: plain values, constants and doors only have a shape."""
    return any(
        not any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)
        and not is_promise(node)
        for _, node in functions(path)
    )


def is_promise(node: ast.AST) -> bool:
    """Whether a function has nothing but a docstring: a method that a protocol promises."""
    return all(
        isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        for part in getattr(node, "body", ())
    )


def test_modules_tested_elsewhere_exist() -> None:
    stale = [name for name in TESTED_ELSEWHERE if not (ROOT / name).exists()]
    assert stale == []
    needless = [name for name in TESTED_ELSEWHERE if mirror(ROOT / name).exists()]
    assert needless == []


def test_tests_have_distinct_names() -> None:
    twice = []
    for path in tracked("tests"):
        if path.suffix == ".py":
            names = [
                node.name
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.FunctionDef)
            ]
            twice += [f"{relative(path)} {name}" for name in set(names) if names.count(name) > 1]
    assert twice == []


def test_decisions_are_in_the_index_and_short() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    decisions = [path for path in folder.glob("*.md") if re.match(r"\d{4}-", path.name)]
    assert decisions
    for path in decisions:
        assert f"({path.name})" in index, f"{path.name} is not in docs/adr/README.md"
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= ADR_LINES, path.name
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in lines, f"{path.name} lacks {part!r}"


# Written in pieces, so that this file does not find itself.
FORBIDDEN = {
    "a package registry's address": r"pypi\.(?:org|python)|pythonhosted|registry\.npm|deb\.debian",
    "a machine's own folder": r"/(?:home|root|Users)/\w|/opt/pypi|/work/\w",
    "a secret": r"BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{36}",
    "a conflict that was not resolved": r"(?m)^(?:<<<<<<<|>>>>>>>) ",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_are_free_of(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{relative(path)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    assert found == []


def test_requirements_lock_every_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {
        "base": project["dependencies"],
        "dev": project["dependencies"] + project["optional-dependencies"]["dev"],
    }
    for name, requirements in wanted.items():
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        assert "--index-url" not in text
        locked = {line.split("==")[0].lower() for line in text.splitlines() if "==" in line}
        for requirement in requirements:
            package = re.split(r"[\[<>=!~ ;]", requirement)[0].lower().replace("_", "-")
            assert package in locked, f"{package} is not in requirements/{name}.txt: make lock"
