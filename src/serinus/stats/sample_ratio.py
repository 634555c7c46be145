"""Sample ratio: do the arms get the shares of units that were configured? Valid at every look.

Every other test takes the configured share for granted, so a router that delivers another one
poisons all of them: 12 % instead of 10 % makes an equal challenger look 1.2 times as error-prone.
An alarm here means "trust nothing else"; and promotion wants more than silence, namely that a
delivered share off by a tolerance is excluded.

Source: the sequential multinomial test of Lindon & Malek (NeurIPS 2022, arXiv 2011.03567), with a
Dirichlet prior of ``CONCENTRATION`` units around the configured share, one factor a share in
force; :func:`log_e_sound` bets on a grid against either end of the tolerance. Assumes one entry
per randomisation unit, drawn independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log, log1p

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from serinus.stats import mixing
from serinus.stats.mixing import Floats, LogE

CONCENTRATION = 100.0
"""Units that the prior around the configured share is worth."""

_SOUND = np.concatenate(([0.0], np.linspace(-0.5, 0.5, 12)))
_SOUND_LOG_WEIGHTS = np.log(np.concatenate(([0.8], np.full(12, 0.2 / 12))))


def log_e(units: Mapping[float, ArrayLike]) -> LogE:
    """Log e-value against "units go to the challenger with the configured share".

    Args:
        units: by configured challenger share, shape (..., 2): units in (champion, challenger).

    Returns:
        Of the leading shape; a float without leading axes; 0 without units. Shares of 0 and 1
        say nothing.
    """
    total: LogE = 0.0
    for share in sorted(units):
        counts = np.asarray(units[share], np.float64)
        champion, challenger = counts[..., 0], counts[..., 1]
        if not 0.0 < share < 1.0:
            total = total + np.zeros(champion.shape)
            continue
        hits, misses = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
        posterior = special.betaln(hits + challenger, misses + champion)
        null = challenger * log(share) + champion * log1p(-share)
        total = total + posterior - special.betaln(hits, misses) - null
    return float(total) if np.ndim(total) == 0 else total


def log_e_sound(units: Mapping[float, ArrayLike], tolerance: float = 0.10) -> LogE:
    """Log e-value against "the delivered share is off by ``tolerance`` or more, up or down".

    Off by ``tolerance`` is measured against the smaller arm's configured share: for a share of
    0.1 and 10 % that is delivering 0.11 or more at all times, or 0.09 or less at all times.

    Args:
        units: by configured challenger share, shape (..., 2): units in (champion, challenger).
        tolerance: relative, in (0, 1).

    Returns:
        Of the leading shape; a float without leading axes; 0 without units. The lesser of two
        e-values, one for each direction: valid whichever of them holds.
    """
    sides = [_excluded(units, end) for end in (-tolerance, tolerance)]
    least = np.minimum(*sides)
    return float(least) if np.ndim(least) == 0 else least


def _excluded(units: Mapping[float, ArrayLike], end: float) -> LogE:
    wealth = mixing.log_wealth(units, (2,), lambda share: _log_gains(share, end))
    return mixing.mix(wealth, _SOUND_LOG_WEIGHTS)


@lru_cache(maxsize=1024)
def _log_gains(share: float, end: float) -> Floats:
    """Shape (2, k): a champion's and a challenger's unit, against a delivered share at ``end``."""
    if not 0.0 < share < 1.0:
        return np.zeros((2, _SOUND.size))
    smaller = min(share, 1.0 - share)
    null = share + end * smaller
    bets = share + abs(end) * _SOUND * smaller
    return np.stack([np.log1p(-bets) - log1p(-null), np.log(bets) - log(null)])
