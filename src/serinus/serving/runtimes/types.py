"""What a loaded version can do, whatever library made it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """What a model's process may take, and what it may run with.

    Attributes:
        start_seconds: until it is loaded.
        call_seconds: for one call; then it is killed.
        memory_bytes: resident; beyond, it is replaced after its call, or killed during it. 0 is
            any.
        rest_seconds: before the second start in a row; each further start waits twice as long.
        longest_rest_seconds: between two starts. Who lived longer than that begins anew.
        environments: the folder with the interpreters that it may run with beside this process's
            own; None is any.
    """

    start_seconds: float = 45.0
    call_seconds: float = 5.0
    memory_bytes: int = 0
    rest_seconds: float = 0.5
    longest_rest_seconds: float = 30.0
    environments: Path | None = None


class Runtime(Protocol):
    """A loaded version, to be called by one thread at a time."""

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""

    @property
    def is_steady(self) -> bool:
        """Whether a call takes a time that its number of rows tells, so that a loop may wait."""

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""

    def close(self) -> None:
        """Let go of what lives outside of this process's memory; it is not asked again."""
