"""Semantic versions of models: what counts as a breaking change, and which number follows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from serinus import wire
from serinus.errors import InvalidInput

_FORM = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


@dataclass(frozen=True, order=True)
class SemanticVersion:
    """Major, minor and patch; ordered as numbers, so that 1.10.0 follows 1.9.0."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


FIRST = SemanticVersion(1, 0, 0)


class Change(IntEnum):
    """What sets a candidate apart from the version before it."""

    REFIT = 0
    NEW_DATA_OR_ALGORITHM = 1
    BREAKS_SIGNATURE = 2


def parse(text: str) -> SemanticVersion:
    """The version that ``text`` spells.

    Raises:
        InvalidInput: it is not three numbers with dots, without leading zeros.
    """
    found = _FORM.fullmatch(text)
    if not found:
        raise InvalidInput(
            f"{text[:60]!r} is not a semantic version",
            where="version",
            remedy="Give three numbers such as 1.4.0, or leave it out for the next one.",
        )
    return SemanticVersion(*map(int, found.groups()))


def newest(texts: Iterable[str]) -> str | None:
    """The highest of the versions, None of none."""
    return max(texts, key=parse, default=None)


def following(version: SemanticVersion, change: Change) -> SemanticVersion:
    """The version after ``version``: major for a break, minor for new data, patch for a refit."""
    if change is Change.BREAKS_SIGNATURE:
        return SemanticVersion(version.major + 1, 0, 0)
    if change is Change.NEW_DATA_OR_ALGORITHM:
        return SemanticVersion(version.major, version.minor + 1, 0)
    return SemanticVersion(version.major, version.minor, version.patch + 1)


def breaks(before: wire.Manifest, after: wire.Manifest) -> tuple[str, ...]:
    """How callers written for ``before`` break on ``after``, a sentence each; empty if they do not.

    An added optional input, and a required input that became optional, break nobody.
    """
    found: list[str] = []
    if before.task != after.task:
        found.append(f"the task was {before.task} and is {after.task}")
    if before.target != after.target:
        found.append(f"the target was {before.target!r} and is {after.target!r}")
    if set(map(repr, before.classes)) != set(map(repr, after.classes)):
        found.append(f"the classes were {list(before.classes)} and are {list(after.classes)}")
    old = {field.name: field for field in before.inputs}
    new = {field.name: field for field in after.inputs}
    found += [f"input {name!r} is gone" for name in old if name not in new]
    for name, field in new.items():
        if name not in old:
            if field.required:
                found.append(f"input {name!r} is new and required")
            continue
        if field.type != old[name].type:
            found.append(f"input {name!r} was {old[name].type} and is {field.type}")
        if field.required and not old[name].required:
            found.append(f"input {name!r} has become required")
    return tuple(found)
