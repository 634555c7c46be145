"""Concentration: do events crowd into one segment of the requests?

Of F events among n requests, k fell into a segment of m requests. If events do not care about
segments, k is hypergeometric. The bet that they are theta times as frequent inside is
``theta^k / (1 - q + q theta)^F`` with ``q = m / n``; under the binomial law its mean is one, and as
it is convex in k, under the hypergeometric law at most one.

Source: Hoeffding, "Probability inequalities for sums of bounded random variables" (JASA 1963,
theorem 4) for sampling without replacement. Holds at a look, given the segments' sizes; segments
depend on one another, which :func:`serinus.stats.multiplicity.e_bh` does not mind.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from serinus.stats import mixing
from serinus.stats.mixing import LogE

_ODDS = np.geomspace(1.25, 30.0, 10)
_WEIGHTS = _ODDS**-0.5
_LOG_WEIGHTS = np.log(_WEIGHTS / _WEIGHTS.sum())


def log_e(inside: ArrayLike, events: ArrayLike, share: ArrayLike) -> LogE:
    """Log e-value against "events are not more frequent inside the segment".

    Args:
        inside: any shape, events in the segment.
        events: same shape, events in all.
        share: same shape, the segment's part of all requests, in [0, 1].
    """
    k, total, q = (np.asarray(given, np.float64)[..., None] for given in (inside, events, share))
    wealth = k * np.log(_ODDS) - total * np.log1p(q * (_ODDS - 1.0))
    return mixing.mix(wealth, _LOG_WEIGHTS)
