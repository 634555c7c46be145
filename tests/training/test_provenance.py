from __future__ import annotations

import subprocess
from pathlib import Path

from serinus.training import provenance


def test_commit_of_a_folder_in_git_and_of_one_that_is_not(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *who, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert provenance.commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first")
    assert provenance.commit(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "a").write_text("2")
    assert provenance.commit(tmp_path) == git("rev-parse", "HEAD") + "-dirty"


def test_tags_name_python_and_the_packages(tmp_path: Path) -> None:
    found = provenance.tags(tmp_path)

    assert found["environment.python"].startswith("3.")
    assert "environment.scikit-learn" in found
    assert "code.commit" not in found
