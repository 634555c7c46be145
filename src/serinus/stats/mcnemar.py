"""Anytime McNemar: of two versions on the same requests, which one alone is wrong more often?

Requests on which both are right or both are wrong say nothing. Of the others, "only the
challenger is wrong" has the chance ``theta / (1 + theta)``, where theta is the odds of the two
kinds: event odds at a share of one half, without any draw of arms.

Source: McNemar (1947) for the conditioning; the mixture likelihood ratio of
:mod:`serinus.stats.event_odds` for validity at every look. Assumes that, given the past, the next
discordant request is at most as likely to be the challenger's error as the champion's (the null);
neither independence nor a constant rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from serinus.stats import event_odds
from serinus.stats.mixing import LogE

_ODDS = np.geomspace(1.2, 8.0, 6)
_MIXTURE = event_odds.Mixture(_ODDS, np.log(_ODDS**-0.5 / (_ODDS**-0.5).sum()))


def log_e(worse: ArrayLike, better: ArrayLike) -> LogE:
    """Log e-value against "the challenger alone is wrong at most as often as the champion alone".

    Args:
        worse: any shape, requests on which only the challenger was wrong.
        better: same shape, requests on which only the champion was wrong.

    Returns:
        Of that shape; a float without axes; 0 without discordant requests.
    """
    counts = np.stack([np.asarray(better, np.float64), np.asarray(worse, np.float64)], axis=-1)
    return event_odds.log_e({0.5: counts}, null_odds=1.0, mixture=_MIXTURE)
