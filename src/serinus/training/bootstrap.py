"""Metrics with bootstrap percentile intervals (Efron 1979), all resamples at once.

A resample is a vector of row counts, so that each metric of all resamples is a matrix product.
Of many rows only a few subsets are resampled, each up to the full number of rows: the bag of
little bootstraps (Kleiner, Talwalkar, Sarkar, Jordan 2014), whose cost hardly grows with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CONFIDENCE = 0.95
MOST_RESAMPLES = 1_000
FEWEST_RESAMPLES = 200
BUDGET = 1_000_000
"""Counts of resamples × rows that are worth their time; fewer resamples for more rows."""

MANY_ROWS = 10_000
SUBSETS = 5
RESAMPLES_OF_SUBSET = 100
SUBSET_EXPONENT = 0.7

CHUNK = 500_000
TINY = 1e-15


Metrics = Callable[[npt.NDArray[np.int64], Floats], dict[str, Floats]]
"""Each metric for each resample, of the rows at some places, with their counts."""


def estimates(metrics: Metrics, rows: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """By metric its value on all rows, and the low and high end of its interval."""
    everywhere = np.arange(rows)
    own = {name: float(found[0]) for name, found in metrics(everywhere, np.ones((1, rows))).items()}
    if rows > MANY_ROWS:
        tails = [_tails(part, part) for part in _subsets(metrics, rows, seed)]
    else:
        chunks = [metrics(everywhere, counts) for counts in weights(rows, seed)]
        drawn = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in own}
        tails = [_tails({name: np.array([value]) for name, value in own.items()}, drawn)]
    return {
        name: (
            value,
            value + float(np.mean([part[name][0] for part in tails])),
            value + float(np.mean([part[name][1] for part in tails])),
        )
        for name, value in own.items()
    }


def resamples_for(rows: int) -> int:
    """How many resamples a test of ``rows`` rows gets."""
    if rows > MANY_ROWS:
        return SUBSETS * RESAMPLES_OF_SUBSET
    return int(min(MOST_RESAMPLES, max(FEWEST_RESAMPLES, BUDGET // max(rows, 1))))


def weights(rows: int, seed: int) -> Iterator[Floats]:
    """Row counts of resamples in chunks (resamples × rows); each resample has ``rows`` rows."""
    random = np.random.default_rng(seed)
    left = resamples_for(rows)
    step = max(1, CHUNK // max(rows, 1))
    while left > 0:
        size = min(step, left)
        drawn = random.integers(0, rows, size=(size, rows))
        drawn += np.arange(size)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(float)
        left -= size


def _subsets(metrics: Metrics, rows: int, seed: int) -> Iterator[dict[str, Floats]]:
    """Each subset's own metrics (first) and those of its resamples of ``rows`` rows."""
    random = np.random.default_rng(seed)
    size = int(rows**SUBSET_EXPONENT)
    for _ in range(SUBSETS):
        places = random.choice(rows, size, replace=False)
        drawn = random.multinomial(rows, np.full(size, 1 / size), RESAMPLES_OF_SUBSET)
        yield metrics(places, np.vstack([np.ones((1, size)), drawn]))


def _tails(own: dict[str, Floats], drawn: dict[str, Floats]) -> dict[str, tuple[float, float]]:
    """How far the interval reaches below and above the estimate (the first of ``own``).

    Resamples in which a metric is not defined are left out.
    """
    tail = (1 - CONFIDENCE) / 2
    found: dict[str, tuple[float, float]] = {}
    for name, values in drawn.items():
        defined = values[np.isfinite(values)]
        if defined.size == 0 or not np.isfinite(own[name][0]):
            found[name] = (0.0, 0.0)
            continue
        low, high = np.quantile(defined - own[name][0], [tail, 1 - tail])
        found[name] = (float(low), float(high))
    return found


def classification(truth: Floats, scores: Floats, counts: Floats) -> dict[str, Floats]:
    """Each metric for each resample.

    Args:
        truth: rows × classes, 1 where the row is of the class.
        scores: rows × classes, probabilities.
        counts: resamples × rows.
    """
    total = counts.sum(axis=1)
    chosen = np.zeros_like(truth)
    chosen[np.arange(len(scores)), scores.argmax(axis=1)] = 1
    hits = counts @ (truth * chosen)
    said, true = counts @ chosen, counts @ truth
    precision, recall = _share(hits, said), _share(hits, true)
    f1 = _share(2 * hits, said + true)
    # As scikit-learn: the average is over the classes that occur, in the truth or in an answer.
    occurs = (said + true) > 0
    summed = np.clip((scores * truth).sum(axis=1), TINY, 1)
    squares = ((scores - truth) ** 2).sum(axis=1) / (2 if truth.shape[1] == 2 else 1)
    return {
        "accuracy": hits.sum(axis=1) / total,
        "precision": _mean(precision, occurs),
        "recall": _mean(recall, occurs),
        "f1": _mean(f1, occurs),
        "roc_auc": _roc_auc(truth, scores, counts),
        "log_loss": counts @ -np.log(summed) / total,
        "brier": counts @ squares / total,
    }


def regression(truth: Floats, answers: Floats, counts: Floats) -> dict[str, Floats]:
    """Mean squared error, mean absolute error and R² for each resample (resamples × rows)."""
    total = counts.sum(axis=1)
    errors = truth - answers
    squared = counts @ errors**2
    centred = truth - truth.mean()
    spread = counts @ centred**2 - (counts @ centred) ** 2 / total
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 0, 1 - squared / spread, np.nan)
    return {
        "mse": squared / total,
        "mae": counts @ np.abs(errors) / total,
        "r2": r2,
    }


def _roc_auc(truth: Floats, scores: Floats, counts: Floats) -> Floats:
    """Area under the curve: of the second class of two, else the mean of one class against all."""
    if truth.shape[1] == 2:
        return _area(truth[:, 1], scores[:, 1], counts)
    areas = [_area(truth[:, k], scores[:, k], counts) for k in range(truth.shape[1])]
    out: Floats = np.mean(areas, axis=0)
    return out


def _area(truth: Floats, score: Floats, counts: Floats) -> Floats:
    """Mann-Whitney form of the area: wins plus half the ties, over all pairs."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) > 0)
    positive = np.add.reduceat(counts[:, order] * truth[order], starts, axis=1)
    negative = np.add.reduceat(counts[:, order] * (1 - truth[order]), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + negative / 2)).sum(axis=1)
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(pairs > 0, wins / pairs, np.nan)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _mean(values: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    out: Floats = (values * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return out
