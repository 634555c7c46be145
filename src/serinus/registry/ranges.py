"""What a training column says of later values: how far its numbers go, which categories it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET, UnsetType

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 64
LONGEST_CATEGORY = 100


def far(column: pd.Series[Any]) -> tuple[float, float] | tuple[UnsetType, UnsetType]:
    """Low and high of a column of numbers: beyond them a value is far from all of it.

    The least and the greatest, each moved outwards by the distance between the two; of a constant
    column by its own size. Unset for a column without finite numbers.
    """
    numbers = column.to_numpy(np.float64, na_value=np.nan)
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return UNSET, UNSET
    least, greatest = float(finite.min()), float(finite.max())
    margin = (greatest - least) or abs(greatest) or 1.0
    low, high = least - margin, greatest + margin
    # A column that spans half of all floats has no far.
    return (low, high) if np.isfinite([low, high]).all() else (UNSET, UNSET)


def known(column: pd.Series[Any]) -> tuple[str, ...] | UnsetType:
    """The categories of a column of text; unset if there are none, many or long ones."""
    found = column.dropna().unique()
    if not 0 < len(found) <= MOST_CATEGORIES:
        return UNSET
    names = sorted(str(name) for name in found)
    return tuple(names) if all(len(name) <= LONGEST_CATEGORY for name in names) else UNSET
