"""Splits rows into those a model learns from and those that judge it. No row is lost."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from serinus.errors import InvalidInput

Split: TypeAlias = Literal["random", "stratified", "grouped", "time"]
"""How rows are dealt out: at will, keeping class shares, keeping groups whole, newest for test."""

SPLITS: tuple[Split, ...] = ("random", "stratified", "grouped", "time")


def split(
    frame: pd.DataFrame,
    *,
    kind: Split,
    test_size: float,
    seed: int,
    by: str = "",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train rows and test rows; together exactly ``frame``, each with its own index kept.

    Args:
        frame: at least two rows.
        kind: see :data:`Split`. ``time`` puts the newest rows in the test; rows of one moment
            stay together, so that every test row is newer than every train row.
        test_size: share of the rows for the test, between 0 and 1 (by groups: of the groups).
        seed: the same seed deals the same rows.
        by: the column that ``stratified`` (the target), ``grouped`` or ``time`` goes by.

    Raises:
        InvalidInput: the rows cannot be split so; says which column and what to do.
    """
    if kind not in SPLITS:
        raise InvalidInput(
            f"there is no split {kind!r}", where="split", remedy=f"Use one of {', '.join(SPLITS)}."
        )
    if not 0 < test_size < 1:
        raise InvalidInput(
            f"the test size is {test_size}",
            where="test_size",
            remedy="Give a share between 0 and 1.",
        )
    if kind != "random" and by not in frame.columns:
        raise InvalidInput(
            f"the {kind} split needs a column, and {by!r} is none",
            where="split",
            remedy="Name a column of the data.",
        )
    positions = _test_positions(frame, kind, test_size, seed, by)
    chosen = np.zeros(len(frame), dtype=bool)
    chosen[positions] = True
    if not chosen.any() or chosen.all():
        raise InvalidInput(
            f"a {kind} split leaves one side without rows",
            where=by or "split",
            remedy="Give more rows, another test size, or a column with more different values.",
        )
    return frame[~chosen], frame[chosen]


def _test_positions(
    frame: pd.DataFrame, kind: Split, test_size: float, seed: int, by: str
) -> npt.NDArray[np.int64]:
    if kind == "time":
        moments = frame[by].to_numpy()
        newest = np.sort(moments)[-max(1, round(len(frame) * test_size))]
        later: npt.NDArray[np.int64] = np.flatnonzero(moments >= newest)
        if len(later) == len(frame):
            later = np.flatnonzero(moments > newest)
        return later
    rows = np.arange(len(frame))
    try:
        if kind == "grouped":
            deal = GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=seed)
            return np.asarray(next(deal.split(rows, groups=frame[by].to_numpy()))[1])
        strata = frame[by].to_numpy() if kind == "stratified" else None
        _, test = train_test_split(rows, test_size=test_size, random_state=seed, stratify=strata)
    except ValueError as error:
        raise InvalidInput(
            f"a {kind} split of {len(frame)} rows is not possible ({error})",
            where=by or "split",
            remedy="Give more rows or another test size, or use another split.",
        ) from error
    return np.asarray(test)
