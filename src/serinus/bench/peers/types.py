"""What a peer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a peer is to run: the programs of its environment, and its port."""

    programs: Path
    port: int

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self.programs / "python")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another server, and how it is to be used.

    Args:
        name: for people.
        requirements: pinned.
        program: the file in ``programs`` that is laid beside its model; empty if it needs none.
        prepare: arguments of its interpreter that make its own form of the model.
        command: that starts it in the folder of its model.
        ready: the path that answers 200 once it serves.
        path: that is asked.
        request: the document that asks for a row.
        answer: the class in an answer's document.
        settings: further files beside its model, by name.
        is_named: whether its model is fitted on a frame, because it asks it with one.
        is_reference: shown beside the others, but no bar is set by it.
    """

    name: str
    requirements: tuple[str, ...]
    command: Callable[[Place], Sequence[str]]
    ready: str
    path: str
    request: Callable[[Sequence[float]], Any]
    answer: Callable[[Any], int]
    program: str = ""
    prepare: tuple[str, ...] = ()
    settings: Callable[[Place], Mapping[str, Any]] = field(default=lambda _: {})
    is_named: bool = False
    is_reference: bool = False
