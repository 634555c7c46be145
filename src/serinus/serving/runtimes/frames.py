"""Rows as the table a model was fitted on: the manifest's column order and types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from serinus.serving.types import Features
from serinus.wire import Field

# Text as pandas reads it from files: missing values are NaN and not the word "None".
_TEXT = pd.StringDtype(na_value=np.nan)


class FrameBuilder:
    """Builds data frames of one model. A missing value becomes NaN.

    A column of whole numbers or booleans with a missing value can only be a column of numbers
    or objects: in pandas these types have no missing value.
    """

    def __init__(self, inputs: Sequence[Field]) -> None:
        self._names = pd.Index([field.name for field in inputs])
        self._types = [field.type for field in inputs]
        self._numeric = all(kind == "double" for kind in self._types)

    @property
    def is_numeric(self) -> bool:
        """Whether all columns are numbers, so that a plain array holds the same."""
        return self._numeric

    def array(self, rows: Sequence[Features]) -> npt.NDArray[np.float64]:
        """The rows of an all-numeric model, shape (rows, inputs)."""
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self._types))

    def build(self, rows: Sequence[Features]) -> pd.DataFrame:
        """The rows as a frame of shape (rows, inputs)."""
        if self._numeric:
            return pd.DataFrame(self.array(rows), columns=self._names, copy=False)
        columns = zip(*rows, strict=True)
        data = {
            position: _column(kind, values)
            for position, (kind, values) in enumerate(zip(self._types, columns, strict=True))
        }
        frame = pd.DataFrame(data)
        frame.columns = self._names
        return frame


def _column(kind: str, values: tuple[Any, ...]) -> Any:
    if kind == "double":
        return np.array(values, dtype=np.float64)
    if kind == "string":
        return pd.array(values, dtype=_TEXT)
    if None in values:
        if kind == "long":
            return np.array(values, dtype=np.float64)
        return np.array([np.nan if value is None else value for value in values], dtype=object)
    return np.array(values, dtype=np.int64 if kind == "long" else np.bool_)
