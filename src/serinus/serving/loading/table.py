"""The routing table: its file, replaced as a whole by whoever writes it, and whom it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

from serinus.errors import InvalidInput
from serinus.wire import Route, RoutingTable, Target

Key: TypeAlias = tuple[str, Target]
"""A version of a model, as a table names it."""


class RoutingFile:
    """The file, read only when it has changed.

    Raises:
        InvalidInput: from ``read``, if what is there is no routing table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Whether the file is another than at the last ``read``; one ``stat`` call."""
        return self._stamp() != self._seen

    def read(self) -> RoutingTable | None:
        """The table; None if there is none yet."""
        self._seen = self._stamp()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=RoutingTable)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"the routing table cannot be read ({error})",
                where=str(self._path),
                remedy="The control plane writes it; do not edit it by hand.",
            ) from error

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def versions(table: RoutingTable) -> set[Key]:
    """All versions that a table wants loaded."""
    return {(name, target) for name, route in table.routes.items() for target in _targets(route)}


def kept_warm(table: RoutingTable) -> set[Key]:
    """The versions of models that a deployment is under way for: none of them may be cold."""
    return {
        (name, target)
        for name, route in table.routes.items()
        if route.challenger is not None or route.deployment or route.warm
        for target in _targets(route)
    }


def _targets(route: Route) -> Iterator[Target]:
    yield route.champion
    if route.challenger is not None:
        yield route.challenger
    for variant in route.others:
        yield variant.target
    yield from route.warm


def label(key: Key) -> str:
    """A version as people read it: ``model@version``."""
    model, target = key
    return f"{model}@{target.version}"
