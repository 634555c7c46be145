"""How often each class is true, claimed and both, among answers to rows not learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Class: TypeAlias = str | int | bool


@dataclass(frozen=True)
class Tally:
    """One class among ``rows``: of so many ``true``, of so many ``claimed``, of ``hits`` both."""

    name: Class
    rows: int
    true: int
    claimed: int
    hits: int


def tally(truth: Sequence[Any], scores: NDArray[Any], classes: Sequence[Any]) -> list[Tally]:
    """The tallies of all classes.

    Args:
        truth: the true class of each row.
        scores: rows × classes; the greatest is the answer.
        classes: in the order of the scores' columns, as plain JSON.
    """
    place = {label: column for column, label in enumerate(classes)}
    true = np.array([place[label] for label in truth], np.int64)
    claimed = scores.argmax(axis=1)
    hits = claimed[claimed == true]
    counts = [np.bincount(found, minlength=len(classes)) for found in (true, claimed, hits)]
    return [
        Tally(name, len(true), *(int(found[column]) for found in counts))
        for name, column in place.items()
    ]


def read(reference: Mapping[str, Any]) -> tuple[Tally, ...]:
    """The tallies of a reference profile; none of one that was made without."""
    return tuple(Tally(**found) for found in reference.get("classes", ()))
