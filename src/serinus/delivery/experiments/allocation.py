"""Who gets how much traffic: as planned, or by the probability of being the best. Pure.

Shares change at the planned looks alone and never below a floor, so that there are few stretches,
each long enough to be an experiment by itself; that is what keeps the inference valid
(:mod:`serinus.delivery.experiments.contrast`). The draws are seeded by the experiment and the look,
so that the same results allocate the same shares again.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

import numpy as np

from serinus.delivery.experiments import contrast as co
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.moments import Floats
from serinus.delivery.experiments.sums import Look, Shares

FLOOR = 0.05
"""No arm that is not dropped ever has less of the traffic."""
FIRST_LOOK = 2
"""Before this look shares stay as they were planned."""
LEAST_UNITS = 100
"""Nor do they move before each arm has so many units."""
_DRAWS = 4_000


def thompson(
    look: Look, shares: Shares, dropped: Collection[int], *, rises: bool, seed: str
) -> Shares:
    """The challengers' shares after a look.

    Args:
        look: what is known.
        shares: in force.
        dropped: the challengers (from 0) that are out; they have nothing.
        rises: whether more of the metric is better.
        seed: of the experiment.

    Returns:
        As they are, where too little is known. Else each arm's probability of being the best, by
        the normal approximation of its metric, mixed with the floor.
    """
    arms = [arm for arm in range(len(shares) + 1) if arm - 1 not in dropped]
    sums = [_of_arm(look, arm) for arm in arms]
    known = [co.mean(rows) for rows in sums]
    if look.number < FIRST_LOOK or any(float(item.units) < LEAST_UNITS for item in known):
        return shares
    values = np.array([float(item.value) for item in known])
    errors = np.array([float(item.error) for item in known])
    if not np.isfinite([values, errors]).all():
        return shares
    digest = blake2b(f"{seed}/{look.number}".encode(), digest_size=8).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    drawn = rng.normal(values, errors, (_DRAWS, len(arms))) * (1.0 if rises else -1.0)
    best = np.bincount(drawn.argmax(axis=1), minlength=len(arms)) / _DRAWS
    parts = FLOOR + (1.0 - FLOOR * len(arms)) * best
    found = [0.0] * len(shares)
    for arm, part in zip(arms, parts, strict=True):
        if arm:
            found[arm - 1] = round(float(part), 3)
    return tuple(found)


def without(shares: Shares, dropped: Collection[int]) -> Shares:
    """The shares once these challengers are out: what they had goes to the champion."""
    return tuple(0.0 if place in dropped else share for place, share in enumerate(shares))


def _of_arm(look: Look, arm: int) -> Floats:
    rows = [row for (_, of), row in look.arms.items() if of == arm]
    found: Floats = np.sum(rows, axis=0) if rows else mo.NONE
    return found
