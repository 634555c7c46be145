"""Drift on windows: how unusual is this window among all windows, with a stated false-alarm rate.

Rows of live traffic share their hour, weather and campaign, so tests on rows alarm on every
clean day. The unit here is the window. Each window has one distance a feature to the training
reference; a window is scored against *all windows so far, itself included*, by a rule that
treats them alike. Hence, while the windows are exchangeable, the rank of the newest score is
uniform and independent of the earlier ranks (full conformal prediction; Vovk, Gammerman & Shafer
2005, ch. 2 and 7), whatever the features' distributions and however they depend on each other.

From ranks to an alarm: ``p`` = share of scores at least as large; ``e`` = ``p^(-1/2)`` over its
mean for a rank drawn uniformly from 1/t, ..., 1 (2 in the limit, less for few windows, so that
early windows count in full), hence of mean 1 at most. The Shiryaev-Roberts e-detector
``R <- (R + 1) e`` (Shin, Ramdas & Rinaldo 2022) alarms at ``R >= A``. As ``R - t`` is a
supermartingale, the average run length between false alarms is at least ``A`` windows.

Where the promise ends:

- Serially correlated windows (a daily cycle seen in hourly windows, a slow season) are not
  exchangeable: the run length may fall below ``A``. Windows that span the cycle restore it.
- Only the newest ``CAP`` windows are kept. Up to then the bound is exact; later ranks are
  among the newest and the bound is approximate.
- The reference is fixed. A reference unlike the traffic from the first day on is no alarm:
  what is found is *change* since calibration began.
- A first change raises the yardstick for a second; start a new history after an alarm.

How long a gross change in one feature of four takes to be found (simulated; median and 90 %
quantile in windows) after so many quiet windows:

    quiet   A = 200   A = 1,000   A = 8,760
       30     3, 4      5, 7       9, 11
       60     3, 3      4, 5       6, 7
      200     2, 3      3, 4       4, 5
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

CAP = 1_000
"""Windows of history that are kept."""

CALIBRATION = 30
"""Windows before which even a gross change could hardly be found."""

LEAST_SPREAD = 0.2
"""Least spread of a log-distance: about its sampling noise over 32 bins, ``sqrt(2/31)``. Without
it a feature that never moves would outshout every other with its first odd row."""

_SD_PER_MAD = 1.4826


@dataclass(frozen=True)
class Surprise:
    """How a window stands among all windows so far.

    ``score`` is the largest of ``deviations`` (robust z of each feature's log-distance, in the
    features' order); ``p_value`` its rank in (0, 1]; ``e_value`` the evidence of a change.
    """

    score: float
    p_value: float
    e_value: float
    deviations: tuple[float, ...]


def jensen_shannon(reference: ArrayLike, counts: ArrayLike) -> float:
    """The Jensen-Shannon divergence between two vectors of counts, in bits: 0 to 1.

    Lin (1991), with proportions taken of each. 0.0 if either has no rows at all.
    """
    first, second = np.asarray(reference, np.float64), np.asarray(counts, np.float64)
    if not (first.sum() > 0 and second.sum() > 0):
        return 0.0
    first, second = first / first.sum(), second / second.sum()
    middle = (first + second) / 2
    total = 0.0
    for part in (first, second):
        held = part > 0
        total += float((part[held] * np.log2(part[held] / middle[held])).sum()) / 2
    return min(1.0, max(0.0, total))


def log_distance(distance: ArrayLike, rows: ArrayLike) -> NDArray[np.float64]:
    """``log(distance + 1/rows)``: what is below one row's worth is noise and counts alike."""
    return np.log(np.asarray(distance) + 1.0 / np.maximum(np.asarray(rows, np.float64), 1.0))


def deviations(log_distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Robust z of each window and feature: (log-distance - median) / spread over all windows.

    Args:
        log_distances: windows by features (further axes before these are independent cases).
            Every window, the newest too, enters median and spread alike: that symmetry is what
            makes scores exchangeable.
    """
    if log_distances.shape[-2] == 0:
        return log_distances
    centred = log_distances - np.median(log_distances, axis=-2, keepdims=True)
    spread = _SD_PER_MAD * np.median(np.abs(centred), axis=-2, keepdims=True)
    scaled: NDArray[np.float64] = centred / np.maximum(spread, LEAST_SPREAD)
    return scaled


def newest_rank(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of scores at least as large as the last one, itself counted: ties count against it.

    Deterministic and conservative: never below the smoothed conformal p-value.
    """
    share: NDArray[np.float64] = np.mean(scores >= scores[..., -1:], axis=-1)
    return share


def e_value(p_value: ArrayLike, windows: int) -> NDArray[np.float64]:
    """Evidence from the rank of one among ``windows``: ``p^(-1/2)`` over its mean for any rank.

    Its mean is exactly 1 while every rank is equally likely, and less where ties raise p.
    """
    ranks = np.arange(1, windows + 1) / windows
    return np.asarray(p_value, np.float64) ** -0.5 / float(np.mean(ranks**-0.5))


def surprise(history: NDArray[np.float64], newest: NDArray[np.float64]) -> Surprise:
    """How the ``newest`` window stands among ``history`` and itself.

    Args:
        history: log-distances, earlier windows by features; only the last ``CAP - 1`` count.
        newest: log-distances of the new window, one a feature.

    Without any feature every window is as usual as any other: p = 1.
    """
    if newest.size == 0:
        return Surprise(0.0, 1.0, 1.0, ())
    windows = np.vstack([history[1 - CAP :], newest])
    spread = deviations(windows)
    scores = spread.max(axis=-1)
    p_value = float(newest_rank(scores))
    evidence = float(e_value(p_value, len(windows)))
    return Surprise(float(scores[-1]), p_value, evidence, tuple(spread[-1].tolist()))


def shiryaev_roberts(detector: float, evidence: float) -> float:
    """The detector after one more window; compare with the run length ``A``. Starts at 0."""
    return (detector + 1.0) * evidence


def change_start(p_values: ArrayLike) -> int:
    """Index of the window at which a change, found at the last one, most likely began.

    The start from which the product of e-values up to the alarm is largest (Page's CUSUM). 0 for
    no windows.
    """
    # log of p^(-1/2) / 2: evidence against the mean of the limit, which no rank's position shifts.
    steps = np.log(0.5 / np.sqrt(np.asarray(p_values, np.float64)))[::-1]
    return max(0, steps.size - 1 - int(np.argmax(np.cumsum(steps)))) if steps.size else 0
