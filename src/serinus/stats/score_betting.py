"""Score betting: is a bounded loss larger in one arm, by more than a margin? Valid at every look.

A loss Y in [0, 1] is seen with its arm Z (1 = challenger), drawn with the configured share w. The
score ``g = (Z - w)(Y - m Z - c)`` has mean ``w (1 - w)(challenger loss - champion loss - m)``, for
any course of Y over time, so betting on its sign can grow only if the null is false.

Source: the hedged capital of Waudby-Smith & Ramdas, "Estimating means of bounded random variables
by betting" (JRSS-B 2024, arXiv 2010.09686), applied to an inverse-propensity score; the centre c
and the stakes affect speed only. Assumes an arm drawn independently with the configured share, a
unit counted once, and losses in request order (labels taken in the order they arrive would be
biased).

Stakes: against an absolute margin, half of the capital is on the stake that grows fastest if both
arms fail at the centre's rate ("GROW": Grünwald, de Heide & Koolen, JRSS-B 2024), so that an equal
challenger is let through about as soon as Wald's bound allows; the rest, and all of it where harm
is sought or totals are compared, is spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from serinus.stats import mixing
from serinus.stats.mixing import Floats, LogE

ArmCounts = Mapping[float, ArrayLike]
"""By configured challenger share: shape (..., 2, k), counts of each level by (champion,
challenger)."""

# Never stake everything: a wealth of zero could not recover.
LARGEST_STAKE = 0.98

_DIFFERENCES = np.geomspace(0.01, 1.0, 10)  # that harm is thought to make, small ones likelier
_HARM_LOG_WEIGHTS: Floats = np.log(_DIFFERENCES**-0.5 / (_DIFFERENCES**-0.5).sum())

# Multiples of the stake that grows fastest if all levels are 0 or 1. Totals vary less than that
# and bear higher stakes.
_MARGIN_MULTIPLES = np.concatenate(([1.0], np.geomspace(0.25, 4.0, 5)))
_MARGIN_LOG_WEIGHTS: Floats = np.log(np.concatenate(([0.5], np.full(5, 0.1))))
_RATIO_MULTIPLES = np.geomspace(0.5, 6.0, 6)
_RATIO_LOG_WEIGHTS: Floats = mixing.uniform(6)
_TRIALS = np.linspace(0.002, 1.0, 500)  # parts of the largest stake, to find the best one


@dataclass(frozen=True)
class Question:
    """What is bet on.

    With ``sign`` +1 that ``scale`` times the challenger's mean level exceeds the champion's by
    more than ``margin``, with -1 that it stays below. ``centre`` is the champion's expected
    level, frozen before the first request.
    """

    sign: int
    margin: float
    centre: float
    scale: float = 1.0


def harm(centre: float, margin: float = 0.0) -> Question:
    """Bet against "the challenger's loss is larger by ``margin`` at most" (rollback)."""
    return Question(+1, margin, centre)


def safety(margin: float, centre: float) -> Question:
    """Bet against "the challenger's loss is larger by ``margin`` or more" (promotion)."""
    return Question(-1, margin, centre)


def gain_harm(centre: float) -> Question:
    """Bet against "the challenger gains no less" (rollback); levels are gains: more is better."""
    return Question(-1, 0.0, centre)


def gain_safety(margin_ratio: float, centre: float) -> Question:
    """Bet against "the challenger gains at most ``1 - margin_ratio`` times as much" (promotion).

    Args:
        margin_ratio: the relative loss of gain that must be excluded, in (0, 1).
        centre: the champion's expected gain as a level, in [0, 1].
    """
    return Question(+1, 0.0, centre, 1.0 / (1.0 - margin_ratio))


def log_e(counts: ArmCounts, levels: Floats, question: Question) -> LogE:
    """Natural logarithm of the e-value, the average wealth over a grid of stakes.

    Args:
        counts: by share in force, how often each level was seen in each arm, shape (..., 2, k).
        levels: shape (k,), the levels, in [0, 1].
        question: which null is bet against.

    Returns:
        Of the leading shape of ``counts``; a float without leading axes. By Ville's inequality
        it ever exceeds log(1/alpha) with probability at most alpha if the null is true. 0 with
        no observations; shares of 0 and 1 say nothing.
    """
    key = np.asarray(levels, np.float64).tobytes()
    wealth = mixing.log_wealth(
        counts, (2, len(levels)), lambda share: _log_gains(share, key, question)
    )
    return mixing.mix(wealth, _log_weights(question))


def log_e_each(counts: ArmCounts, levels: Floats, questions: tuple[Question, ...]) -> Floats:
    """:func:`log_e` of many questions at once, each with counts of its own.

    Args:
        counts: by share in force, shape (..., questions, 2, k).
        levels: shape (k,), the levels, in [0, 1].
        questions: alike but for their centres.

    Returns:
        Shape (..., questions); (questions,) without any share.
    """
    key = np.asarray(levels, np.float64).tobytes()
    wealth: Floats = np.zeros((len(questions), 1))
    for share in sorted(counts):
        observed = np.asarray(counts[share], np.float64)
        flat = observed.reshape(*observed.shape[:-2], 1, -1)
        wealth = wealth + (flat @ _log_gains_each(share, key, questions))[..., 0, :]
    return np.asarray(mixing.mix(wealth, _log_weights(questions[0])))


@lru_cache(maxsize=256)
def _log_gains_each(share: float, level_bytes: bytes, questions: tuple[Question, ...]) -> Floats:
    """Shape (questions, 2 k, bets)."""
    return np.stack([_log_gains(share, level_bytes, question) for question in questions])


@lru_cache(maxsize=1024)
def _log_gains(share: float, level_bytes: bytes, question: Question) -> Floats:
    """Shape (2 k, bets): what one observation of each arm and level adds to each bet."""
    levels = np.frombuffer(level_bytes)
    stakes = _stakes(share, question)
    gains = question.sign * _scores(share, levels, question).reshape(-1, 1)
    table: Floats = np.log1p(gains * stakes)
    return table


def _excludes_a_margin(question: Question) -> bool:
    """Whether arms of equal means speak for the bet: so it is where promotion is asked for."""
    return question.sign * ((question.scale - 1.0) * question.centre - question.margin) > 0.0


def _log_weights(question: Question) -> Floats:
    if not _excludes_a_margin(question):
        return _HARM_LOG_WEIGHTS
    return _MARGIN_LOG_WEIGHTS if question.scale == 1.0 else _RATIO_LOG_WEIGHTS


def _stakes(share: float, question: Question) -> Floats:
    """Shape (bets,): non-negative, and small enough that no observation can ruin a bet."""
    if not 0.0 < share < 1.0:
        return np.zeros(_log_weights(question).size)
    extremes = question.sign * _scores(share, np.array([0.0, 1.0]), question)
    largest = LARGEST_STAKE / max(-extremes.min(), 1e-12)
    if _excludes_a_margin(question):
        multiples = _MARGIN_MULTIPLES if question.scale == 1.0 else _RATIO_MULTIPLES
        stakes = _fastest(share, question, extremes, largest) * multiples
    else:
        variance = question.centre * (1.0 - question.centre)
        stakes = _DIFFERENCES / (variance + _DIFFERENCES / 2)
    bounded: Floats = np.minimum(stakes, largest)
    return bounded


def _fastest(share: float, question: Question, extremes: Floats, largest: float) -> float:
    """The stake of the fastest growth if levels are 0 or 1, at the centre's rate in both arms."""
    law = np.outer([1.0 - share, share], [1.0 - question.centre, question.centre])
    growth = np.tensordot(law, np.log1p(extremes[:, :, None] * (_TRIALS * largest)))
    return float(_TRIALS[growth.argmax()] * largest)


def _scores(share: float, levels: Floats, question: Question) -> Floats:
    """Shape (2, k): the score of each arm and level."""
    champion = -share * (levels - question.centre)
    challenger = (1.0 - share) * (question.scale * levels - question.margin - question.centre)
    return np.stack([champion, challenger])
