"""The profile of a version that live traffic is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from serinus.data.dataset import Prepared
from serinus.registry import folders
from serinus.stats import bins
from serinus.training.fitting import Fit

FOLDS = 3
ENOUGH_TEST_ROWS = 2_000


def profile(fit: Fit) -> dict[str, Any]:
    """Bins and counts of the inputs, and of the answers to rows not learned from.

    A large test is enough; else every row counts, the train rows as fits of the other folds
    answer them, because a model is surer of rows that it has learned.
    """
    rows, given = fit.inputs(fit.test), answers(fit.model, fit.inputs(fit.test), fit.prepared)
    folds = _folds(fit) if len(rows) < ENOUGH_TEST_ROWS else []
    parts, outputs = [rows], [given]
    learned = fit.inputs(fit.train)
    for inside, outside in folds:
        target = fit.train[fit.prepared.target].to_numpy()[inside]
        with threadpool_limits(1):
            model = clone(fit.model).fit(learned.iloc[inside], target)
        parts.append(learned.iloc[outside])
        outputs.append(answers(model, parts[-1], fit.prepared))
    profiled = pd.concat(parts)
    columns = {
        name: profiled[name].to_numpy()
        if fit.prepared.kinds[name] == "number"
        else profiled[name].tolist()
        for name in fit.prepared.features
    }
    return bins.reference_profile(columns, np.concatenate(outputs))


def _folds(fit: Fit) -> Sequence[tuple[Any, Any]]:
    target = fit.train[fit.prepared.target]
    if fit.prepared.task == "regression":
        return list(KFold(FOLDS, shuffle=True, random_state=0).split(target))
    if target.value_counts().min() < FOLDS:
        return []
    deal = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return list(deal.split(np.zeros(len(target)), target.to_numpy()))


def answers(model: Any, rows: pd.DataFrame, prepared: Prepared) -> Any:
    """One number a row: the second class's probability of two, the greatest of more, the value."""
    if prepared.task == "regression":
        return np.asarray(model.predict(rows), dtype=float).ravel()
    given = folders.scores(model, rows, prepared.classes)
    return given[:, 1] if len(prepared.classes) == 2 else given.max(axis=1)
