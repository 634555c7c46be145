"""Which packages a version needs: what its MLflow model says, and whether they are here."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from serinus.errors import InvalidInput

_MLFLOW = {"mlflow", "mlflow-skinny"}


@dataclass(frozen=True)
class Wanted:
    """What a version asks of its environment.

    Args:
        python: version of the interpreter, as ``3.11``.
        requirements: lines of a requirements file.
        constraints: lines of a constraints file.
    """

    python: str
    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The same for all versions that ask for the same on this kind of machine."""
        parts = [self.python, platform.machine(), *sorted(self.requirements), "", *self.constraints]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def wanted(folder: Path) -> Wanted:
    """What the MLflow model in ``folder`` says that it needs.

    Raises:
        InvalidInput: it says nothing.
    """
    lines = _lines(folder / "requirements.txt")
    if not lines:
        raise InvalidInput(
            "the model does not say which packages it needs",
            where=str(folder / "requirements.txt"),
            remedy="Log it again with pip_requirements=[...], or serve it with the present "
            "environment.",
        )
    constraints: list[str] = []
    requirements: list[str] = []
    for line in lines:
        named = re.fullmatch(r"(?:-c|--constraint)[ =](.+)", line)
        if named:
            constraints += _lines(folder / named[1].strip())
        else:
            requirements.append(line)
    try:
        about = yaml.safe_load((folder / "python_env.yaml").read_text(encoding="utf-8"))
        version = str(about["python"])
    except (OSError, KeyError, TypeError, yaml.YAMLError):
        version = platform.python_version()
    minor = ".".join(version.split(".")[:2])
    return Wanted(minor, tuple(requirements), tuple(constraints))


def installed() -> dict[str, str]:
    """The packages of the present environment by normalized name, and their versions."""
    found: dict[str, str] = {}
    for package in metadata.distributions():
        name = package.metadata["Name"]
        if name:
            found.setdefault(canonicalize_name(name), package.version)
    return found


def unmet(asked: Wanted, python: str, present: Mapping[str, str]) -> list[str]:
    """What keeps a version from running in an environment; empty if nothing does. Pure.

    MLflow reads what any other of its releases with the same first number wrote, so that alone is
    no reason. Extras are not looked into.

    Args:
        asked: what the version needs.
        python: version of the environment's interpreter.
        present: the environment's packages as of ``installed``.
    """
    found = []
    if asked.python != ".".join(python.split(".")[:2]):
        found.append(f"python {asked.python} (present: {python})")
    for line in asked.requirements:
        if line.startswith("-"):
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            found.append(f"{line} (cannot be compared)")
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            found += _fault(requirement, present)
    return found


def _fault(requirement: Requirement, present: Mapping[str, str]) -> list[str]:
    name = canonicalize_name(requirement.name)
    version = present.get(name)
    if version is None:
        return [f"{requirement} (absent)"]
    if requirement.url:
        return [f"{requirement} (cannot be compared)"]
    if name in _MLFLOW and any(
        specifier.version.split(".")[0] == version.split(".")[0]
        for specifier in requirement.specifier
    ):
        return []
    if requirement.specifier.contains(version, prereleases=True):
        return []
    return [f"{requirement} (present: {version})"]


def leanest(asked: Wanted, model: Mapping[str, Any]) -> list[Wanted]:
    """Environments that may do, the smallest first. Pure.

    MLflow brings its server, its database and its plots along, which nobody needs to call a model:
    an estimator is loaded without MLflow, any other model by ``mlflow-skinny``. What was logged
    need not say what it uses of MLflow's own requirements, so the whole of it comes last.

    Args:
        asked: what the model says.
        model: its ``MLmodel``.
    """
    others = tuple(line for line in asked.requirements if _name(line) not in _MLFLOW)
    of_mlflow = [line for line in asked.requirements if _name(line) in _MLFLOW]
    version = model.get("mlflow_version")
    whole = of_mlflow or [f"mlflow=={version}" if version else "mlflow"]
    named = {_name(line) for line in others}
    frames = tuple(name for name in ("cloudpickle", "numpy", "pandas") if name not in named)
    skinny = tuple(
        re.sub(r"^mlflow(-skinny)?(\[[^]]*\])?", "mlflow-skinny", line.strip()) for line in whole
    )
    tried = [others + frames + skinny, tuple(whole) + others]
    if is_estimator(model):
        tried.insert(0, others + frames)
    return [Wanted(asked.python, lines, asked.constraints) for lines in tried]


def is_estimator(model: Mapping[str, Any]) -> bool:
    """Whether an ``MLmodel`` is of an estimator that is loaded without MLflow."""
    flavors = model["flavors"]
    has_code = bool(flavors.get("python_function", {}).get("code"))
    return not has_code and any(name in flavors for name in ("sklearn", "xgboost", "lightgbm"))


def _name(line: str) -> str:
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    return str(canonicalize_name(found[0])) if found else ""


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
