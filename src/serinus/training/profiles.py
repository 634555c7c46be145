"""What each type of model is held to: gates as data, the shipped ones or a file of one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from serinus.data.types import Task
from serinus.errors import InvalidInput

SHIPPED = Path(__file__).with_name("profiles.toml")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The gates of one model type.

    Args:
        task: what such a model does.
        least: metrics and the least value that passes.
        most: metrics and the greatest value that passes.
        benchmark: the metric that is compared with the champion's; empty is no comparison.
        tolerance: how much worse than the champion passes.
        latency_ms: the 95th percentile of single predictions that passes.
        size_mb: the size of the pickled model that passes, in millions of bytes.
    """

    task: Task
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    benchmark: str = ""
    tolerance: float = 0.0
    latency_ms: float = 250.0
    size_mb: float = 500.0


def load(path: Path = SHIPPED) -> Mapping[str, Profile]:
    """The profiles of a TOML file, by model type.

    Raises:
        InvalidInput: the file cannot be read or is not of that form.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, Profile])
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"the profiles cannot be read ({error})",
            where=str(path),
            remedy="Write a table for each model type, as the documentation of Profile says.",
        ) from error


def choose(profiles: Mapping[str, Profile], model_type: str | None, task: Task) -> Profile:
    """The profile of a model type; None is the task's own.

    Raises:
        InvalidInput: there is no such type, or it is of another task.
    """
    name = model_type or task
    found = profiles.get(name)
    fitting = sorted(key for key, profile in profiles.items() if profile.task == task)
    if found is None or found.task != task:
        what = "is not known" if found is None else f"is of {found.task}, the target of {task}"
        raise InvalidInput(
            f"the model type {name!r} {what}",
            where="model_type",
            remedy=f"For this target use one of: {', '.join(fitting)}.",
        )
    return found
