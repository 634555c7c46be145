"""With what a model was trained: the code's commit, Python and packages."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from serinus.registry.lineage import COMMIT, ENVIRONMENT

PACKAGES = ("serinus", "mlflow", "numpy", "pandas", "scikit-learn", "xgboost-cpu")
DEADLINE_SECONDS = 5.0


def commit(folder: Path) -> str | None:
    """The commit checked out in a folder (``-dirty`` with changes), None if it is in no git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    command += ["--exclude", "*"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def environment() -> dict[str, str]:
    """Versions of Python and of the packages that decide what is fitted."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def tags(folder: Path) -> dict[str, str]:
    """Commit and environment as tags of a version."""
    found = {ENVIRONMENT + name: version for name, version in environment().items()}
    code = commit(folder)
    return {COMMIT: code, **found} if code else found
