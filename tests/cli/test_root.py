from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.calling import serinus

# Anything of these in `serinus --help` would make it slow.
PROCESSES = ("up", "control", "gateway", "worker")
VERBS = ("demo", "train", "predict", "smoke", "deploy", "rollback")
NOUNS = (
    "models", "deployments", "feedback", "ledger", "jobs", "monitor", "config", "bench", "stress",
)  # fmt: skip
HEAVY = ("numpy", "pandas", "mlflow", "sqlalchemy", "fastapi", "httpx", "rich.console", "structlog")


def test_help_names_every_command_and_imports_little(tmp_path: Path) -> None:
    script = (
        "import sys\nsys.argv = ['serinus', '--help']\n"
        "from serinus.cli import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    for command in (*PROCESSES, *VERBS, *NOUNS):
        assert f"  {command} " in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "up",
        *VERBS,
        "models list",
        "models package",
        "deployments watch",
        "feedback tell",
        "feedback import",
        "ledger query",
        "jobs list",
        "monitor drift",
        "config show",
        "bench serve",
    ],
)
def test_every_command_has_json(command: str, tmp_path: Path) -> None:
    answer = serinus(*command.split(), "--help", home=tmp_path)

    assert answer.code == 0
    assert "--json" in answer.out


@pytest.mark.parametrize(
    "arguments", [["fly"], ["models", "fly"], ["deploy"], ["jobs", "list", "--limit", "0"]]
)
def test_wrong_usage_is_2_without_a_traceback(arguments: list[str], tmp_path: Path) -> None:
    answer = serinus(*arguments, home=tmp_path)

    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.err


def test_no_control_plane_says_how_to_start_one(tmp_path: Path) -> None:
    answer = serinus("models", "list", "--json", home=tmp_path, control="http://127.0.0.1:9")

    assert answer.code == 1
    assert "no control plane answers at http://127.0.0.1:9" in answer.err
    assert "serinus up" in answer.err
    assert "Traceback" not in answer.err
    assert answer.json["error"]["status"] == 503


def test_version_is_the_packages(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert serinus("--version", home=tmp_path).out.strip() == version("serinus")
