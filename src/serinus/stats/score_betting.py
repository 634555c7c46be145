"""Score betting: is a bounded loss larger in one arm, by more than a margin? Valid at every look.

A loss Y in [0, 1] is seen with its arm Z (1 = challenger), drawn with the configured share w. The
score ``g = (Z - w)(Y - m Z - c)`` has mean ``w (1 - w)(challenger loss - champion loss - m)``, for
any course of Y over time, so betting on its sign can grow only if the null is false.

Source: the hedged capital of Waudby-Smith & Ramdas, "Estimating means of bounded random variables
by betting" (JRSS-B 2024, arXiv 2010.09686), applied to an inverse-propensity score; the centre c
affects speed only. Assumes an arm drawn independently with the configured share, a unit counted
once, and losses in request order (labels taken in the order they arrive would be biased).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

ArmCounts = Mapping[float, Counts]
"""By configured challenger share: shape (2, k), counts of each loss level by (champion,
challenger)."""

BETS = np.geomspace(0.03, 3.0, 20)
# Never stake everything: a wealth of zero could not recover.
LARGEST_STAKE = 0.98


@dataclass(frozen=True)
class Question:
    """What is bet on.

    With ``sign`` +1 that the difference of the arms' losses exceeds ``margin``, with -1 that it
    stays below. ``centre`` is the champion's expected loss, frozen before the first request.
    """

    sign: int
    margin: float
    centre: float


def harm(centre: float) -> Question:
    """Bet against "the challenger's loss is not larger" (rollback)."""
    return Question(+1, 0.0, centre)


def safety(margin: float, centre: float) -> Question:
    """Bet against "the challenger's loss is larger by ``margin`` or more" (promotion)."""
    return Question(-1, margin, centre)


def log_e(counts: ArmCounts, levels: Floats, question: Question) -> float:
    """Natural logarithm of the e-value, the average wealth over a grid of stakes.

    Args:
        counts: by share in force, how often each loss level was seen in each arm, shape (2, k).
        levels: shape (k,), the loss levels, in [0, 1].
        question: which null is bet against.

    By Ville's inequality it ever exceeds log(1/alpha) with probability at most alpha if the null
    is true. 0.0 with no observations; shares of 0 and 1 say nothing.
    """
    wealth = np.zeros_like(BETS)
    for share, observed in sorted(counts.items()):
        if not 0.0 < share < 1.0:
            continue
        gains = question.sign * _scores(share, levels, question)
        extremes = question.sign * _scores(share, np.array([0.0, 1.0]), question)
        stakes = np.minimum(BETS, LARGEST_STAKE / max(-extremes.min(), 1e-12))
        wealth += np.einsum("ak,bak->b", observed, np.log1p(stakes[:, None, None] * gains))
    return float(logsumexp(wealth) - np.log(len(BETS)))


def _scores(share: float, levels: Floats, question: Question) -> Floats:
    """Shape (2, k): the score of each arm and loss level."""
    champion = -share * (levels - question.centre)
    challenger = (1.0 - share) * (levels - question.margin - question.centre)
    return np.stack([champion, challenger])
