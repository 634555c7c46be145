"""Many e-values at once: which of them may be believed together, whatever their dependence?

Guardrails, segments and looks share traffic, so their e-values depend on each other in unknown
ways. Of e-values, unlike p-values, neither the mean nor the e-BH procedure minds.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serinus.errors import InvalidInput
from serinus.stats import mixing
from serinus.stats.mixing import LogE


def e_bh(log_e: ArrayLike, false_share: float) -> NDArray[np.bool_]:
    """The e-BH procedure: discoveries with a false-discovery rate of at most ``false_share``.

    Of K e-values the k largest are believed, for the largest k whose k-th is at least
    ``K / (k false_share)``. Source: Wang & Ramdas, "False discovery rate control with e-values"
    (JRSS-B 2022, arXiv 2009.02824): valid under any dependence, no correction.

    Args:
        log_e: shape (..., K), natural logarithms of e-values; minus and plus infinity are
            allowed.
        false_share: the highest expected share of false discoveries among all, in (0, 1).

    Returns:
        Shape (..., K): which nulls are rejected. Raising an e-value never takes one away.

    Raises:
        InvalidInput: ``false_share`` is outside (0, 1) or an e-value is not a number.
    """
    values = np.asarray(log_e, np.float64)
    if not 0.0 < false_share < 1.0:
        raise InvalidInput(f"{false_share!r} is no share of discoveries", where="false_share")
    if np.isnan(values).any():
        raise InvalidInput("an e-value is not a number", where="log_e")
    tests = values.shape[-1]
    ranks = np.arange(1, tests + 1)
    falling = -np.sort(-values, axis=-1)
    reached = falling >= log(tests / false_share) - np.log(ranks) if tests else falling > 0.0
    believed = np.max(np.where(reached, ranks, 0), axis=-1, initial=0)
    order = np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1, kind="stable")
    rejected: NDArray[np.bool_] = order < believed[..., None]
    return rejected


def average(log_e: ArrayLike) -> LogE:
    """The log of the mean of e-values: an e-value for "all of these nulls hold".

    It serves a null that is the intersection of several, such as "some margin is kept" or "no
    class became more frequent". Source: Vovk & Wang, "E-values: calibration, combination and
    applications" (Annals of Statistics 2021): the mean is essentially the only
    merging function that holds under any dependence.

    Args:
        log_e: shape (..., K), K at least 1, natural logarithms, finite.
    """
    values = np.asarray(log_e, np.float64)
    return mixing.mix(values, mixing.uniform(values.shape[-1]))
