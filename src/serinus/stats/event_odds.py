"""Event odds: is an event (an error, say) more frequent in one arm? Valid at every look.

Each *event* is asked only in which arm it fell. With configured challenger share w and an odds
ratio theta of the arms' event rates, it falls to the challenger with probability
``theta w / (theta w + 1 - w)``, whatever the rate does over time: the base rate cancels. So one
stream of evidence holds across ramps and daily swings, and requests without an event need not
even be counted.

Source: Lindon & Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022,
arXiv 2011.03567), with a grid prior and predictable shares. Assumes that the arm of each unit is
drawn independently with the configured share, and that a unit counts once. The likelihood ratio
is monotone in theta, so a test against the boundary holds for the whole one-sided null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]

EventCounts = Mapping[float, tuple[int, int]]
"""By configured challenger share: (events in the champion arm, events in the challenger arm)."""


@dataclass(frozen=True)
class Mixture:
    """A prior over odds ratios: the bets placed before the first event.

    Attributes:
        odds: shape (k,), the odds ratios that are bet on.
        log_weights: shape (k,), logarithms of their prior weights, which sum to one.
    """

    odds: Floats
    log_weights: Floats


def harm_mixture() -> Mixture:
    """Bets on a challenger that is worse: 24 odds ratios from 1.1 to 50, small harm likelier."""
    odds = np.geomspace(1.1, 50.0, 24)
    weights = odds**-0.5
    return Mixture(odds, np.log(weights / weights.sum()))


def safety_mixture(margin_odds: float) -> Mixture:
    """Bets on a challenger inside the margin: half on "just as good", half from 0.25 upwards.

    Args:
        margin_odds: the odds ratio that must be excluded, above 1.
    """
    odds = np.concatenate(([1.0], np.geomspace(0.25, 0.97 * margin_odds, 24)))
    weights = np.concatenate(([0.5], np.full(24, 0.5 / 24)))
    return Mixture(odds, np.log(weights))


def log_e(counts: EventCounts, *, null_odds: float, mixture: Mixture) -> float:
    """Natural logarithm of the e-value against "the odds ratio is ``null_odds``".

    With a mixture above ``null_odds`` it tests theta <= null_odds (rollback), with one below it
    theta >= null_odds (promotion). By Ville's inequality it ever exceeds log(1/alpha) with
    probability at most alpha if the null is true. 0.0 without events; shares of 0 and 1 say
    nothing.
    """
    total = np.zeros_like(mixture.odds)
    for share, (champion, challenger) in sorted(counts.items()):
        if not 0.0 < share < 1.0:
            continue
        null = _challenger_probability(np.array([null_odds]), share)
        bets = _challenger_probability(mixture.odds, share)
        total += challenger * np.log(bets / null)
        total += champion * (np.log1p(-bets) - np.log1p(-null))
    return float(logsumexp(total + mixture.log_weights))


def _challenger_probability(odds: Floats, share: float) -> Floats:
    return odds * share / (odds * share + 1.0 - share)
