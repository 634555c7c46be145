"""Rows as plain arrays: all that a graph needs, and all that a small worker has to load."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from serinus.serving.types import Features
from serinus.wire import Field

MISSING_TEXT = "\ufdd0"
"""Stands for a missing text, as a tensor of texts has no gaps: Unicode says it is no character."""


def numbers_of(rows: Sequence[Features]) -> npt.NDArray[np.float64]:
    """Rows of numbers, shape (rows, inputs); a missing value is NaN, a boolean 0 or 1."""
    return np.array(rows, dtype=np.float64)


class Splitter:
    """Splits rows into what is a number and what is a text.

    Args:
        inputs: of the model; ``double``, ``long`` and ``boolean`` are numbers.
    """

    def __init__(self, inputs: Sequence[Field]) -> None:
        texts = [place for place, field in enumerate(inputs) if field.type == "string"]
        numbers = [place for place, field in enumerate(inputs) if field.type != "string"]
        self.has_texts = bool(texts)
        self.has_numbers = bool(numbers)
        self._texts = _taking(texts)
        self._numbers = _taking(numbers)

    def numbers(self, rows: Sequence[Features]) -> npt.NDArray[np.float64]:
        """The numbers of the rows, in the order of the inputs."""
        return np.array([self._numbers(row) for row in rows], dtype=np.float64)

    def texts(self, rows: Sequence[Features]) -> npt.NDArray[np.object_]:
        """The texts of the rows, in the order of the inputs."""
        taken = [self._texts(row) for row in rows]
        for place, row in enumerate(taken):
            if None in row:
                taken[place] = tuple(MISSING_TEXT if text is None else text for text in row)
        return np.array(taken, dtype=object)


def _taking(places: list[int]) -> Any:
    if not places:
        return lambda row: ()
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places)
