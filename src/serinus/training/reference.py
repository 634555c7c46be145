"""The profile of a version that live traffic is compared with, and A/B tests are planned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from serinus.data.dataset import Prepared
from serinus.registry import folders
from serinus.stats import bins, class_tallies
from serinus.training.fitting import Fit

FOLDS = 3
ENOUGH_TEST_ROWS = 2_000


def profile(fit: Fit) -> dict[str, Any]:
    """Bins and counts of the inputs, and of the answers to rows not learned from.

    ``classes`` are how often each class is true, claimed and both among those answers.

    A large test is enough; else every row counts, the train rows as fits of the other folds
    answer them, because a model is surer of rows that it has learned.
    """
    rows, target = fit.inputs(fit.test), fit.prepared.target
    folds = _folds(fit) if len(rows) < ENOUGH_TEST_ROWS else []
    parts, truth, given = [rows], [fit.test[target]], [_given(fit.model, rows, fit.prepared)]
    learned = fit.inputs(fit.train)
    for inside, outside in folds:
        with threadpool_limits(1):
            model = clone(fit.model).fit(learned.iloc[inside], fit.train[target].to_numpy()[inside])
        parts.append(learned.iloc[outside])
        truth.append(fit.train[target].iloc[outside])
        given.append(_given(model, parts[-1], fit.prepared))
    profiled, answered = pd.concat(parts), np.concatenate(given)
    columns = {
        name: profiled[name].to_numpy()
        if fit.prepared.kinds[name] == "number"
        else profiled[name].tolist()
        for name in fit.prepared.features
    }
    found = bins.reference_profile(columns, _numbers(answered, fit.prepared))
    if fit.prepared.task == "classification":
        labels = pd.concat(truth).tolist()
        tallies = class_tallies.tally(labels, answered, fit.prepared.classes)
        found["classes"] = [asdict(item) for item in tallies]
    return found


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
    return _numbers(_given(model, rows, prepared), prepared)


def _given(model: Any, rows: pd.DataFrame, prepared: Prepared) -> Any:
    """What a model says of each row: the probabilities of all classes, or the value."""
    if prepared.task == "regression":
        return np.asarray(model.predict(rows), dtype=float).ravel()
    return folders.scores(model, rows, prepared.classes)


def _numbers(given: Any, prepared: Prepared) -> Any:
    if prepared.task == "regression":
        return given
    return given[:, 1] if len(prepared.classes) == 2 else given.max(axis=1)
