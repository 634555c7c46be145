"""What a loaded version can do, whatever library made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest


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
