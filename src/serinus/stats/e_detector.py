"""E-detectors: has a mean risen above its limit by now? For watching that never ends.

A verdict's error rate is for one rollout; after promotion time has no end, and any alarm rule with
a fixed error rate errs at last. What can be promised is rare false alarms: at least ``run_length``
observations between them on average.

Each stake s bets ``1 + s (X - limit)`` on every observation X in [0, 1], of mean at most one while
the conditional mean of X is at most ``limit``. One unit of capital is started afresh at every
observation, so a change is found whenever it comes. With e the factor,

    Shiryaev-Roberts   R <- (R + 1) e        the sum over all starts,
    CUSUM              C <- max(C, 1) e      the best start, hence at most R.

R minus the number of observations is a supermartingale, hence an alarm at ``R >= run_length`` (or
``C >= run_length``) comes on average no sooner than after ``run_length`` observations.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (arXiv 2203.03532), with a finite mixture of baseline increments. For rates the
increments are those of Bernoulli likelihood ratios.

State: both recursions are affine maps of what came before, the second in the max-plus sense, and
so is any run of observations. Maps compose associatively: runs recorded apart merge in order.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike

from serinus.errors import InvalidInput
from serinus.stats import mixing
from serinus.stats.mixing import Floats

LARGEST_STAKE = 0.98


@dataclass(frozen=True, eq=False)
class Detector:
    """What is watched for: stakes, shape (k,), against a mean of at most ``limit``."""

    limit: float
    stakes: Floats


@dataclass(frozen=True, eq=False)
class State:
    """A run of observations as a map of the detectors' values before it, one for each stake.

    Attributes:
        observations: how many.
        log_gain: shape (k,), log of the product of all factors.
        log_sum: shape (k,), log of Shiryaev-Roberts' statistic, started at 0 before the run.
        log_best: shape (k,), log of CUSUM's statistic, likewise.
    """

    observations: int
    log_gain: Floats
    log_sum: Floats
    log_best: Floats


def rate_above(limit: float) -> Detector:
    """Watches an event rate (X is 0 or 1): bets on 1.5 to 20 times the limit, as far as rates go.

    Raises:
        InvalidInput: ``limit`` is not inside (0, 1).
    """
    _check(limit)
    odds = np.geomspace(1.5, 20.0, 6)
    rates = limit * odds / (1.0 + limit * (odds - 1.0))
    return Detector(limit, (rates - limit) / (limit * (1.0 - limit)))


def mean_above(limit: float) -> Detector:
    """Watches the mean of values in [0, 1]: stakes from a twentieth of the largest one upwards.

    Raises:
        InvalidInput: ``limit`` is not inside (0, 1).
    """
    _check(limit)
    return Detector(limit, np.geomspace(0.05, LARGEST_STAKE, 6) / limit)


def start(detector: Detector) -> State:
    """The state before any observation; merging it changes nothing."""
    nothing = np.full(detector.stakes.size, -np.inf)
    return State(0, np.zeros(detector.stakes.size), nothing, nothing)


def observe(detector: Detector, values: ArrayLike) -> State:
    """A run of observations in order.

    Args:
        detector: what is watched for.
        values: shape (n,), each in [0, 1].

    Raises:
        InvalidInput: a value is outside [0, 1] or not a number.
    """
    observed = np.asarray(values, np.float64)
    if not ((observed >= 0.0) & (observed <= 1.0)).all():
        raise InvalidInput("a detector takes values from 0 to 1 only", where="values")
    if observed.size == 0:
        return start(detector)
    steps = np.log1p(detector.stakes * (observed[:, None] - detector.limit))
    since = np.cumsum(steps[::-1], axis=0)  # of a unit started before the last, the last but one …
    best = since.max(axis=0)
    total = np.log(np.exp(since - best).sum(axis=0)) + best
    return State(observed.size, since[-1], total, best)


def observe_events(detector: Detector, events: int, observations: int) -> State:
    """A batch of which only the number of events is known, not their order.

    All its units of capital start before its first observation, which the promise allows.

    Raises:
        InvalidInput: not 0 <= ``events`` <= ``observations``.
    """
    if not 0 <= events <= observations:
        raise InvalidInput(f"{events} events among {observations} observations", where="events")
    if observations == 0:
        return start(detector)
    gain = events * np.log1p(detector.stakes * (1.0 - detector.limit))
    gain = gain + (observations - events) * np.log1p(-detector.stakes * detector.limit)
    return State(observations, gain, gain + log(observations), gain)


def observe_block(detector: Detector, values: ArrayLike, capital: float) -> State:
    """A run within which no capital starts but ``capital``, before its first observation.

    However many observations the block has, and even if that depends on what they are: R minus
    the capital put in is a supermartingale as long as ``capital`` is fixed before the block. Run
    lengths then count units of capital, such as one a window, and not observations.

    Args:
        detector: what is watched for.
        values: shape (n,), each in [0, 1], in any order.
        capital: not negative.

    Raises:
        InvalidInput: a value is outside [0, 1] or not a number, or ``capital`` is negative.
    """
    if not capital >= 0.0:
        raise InvalidInput(f"{capital!r} is no capital", where="capital")
    run = observe(detector, values)
    if run.observations == 0:
        return run
    begun = log(capital) if capital > 0.0 else -np.inf
    gain = run.log_gain + begun
    return State(run.observations, run.log_gain, gain, gain)


def merge(first: State, second: State) -> State:
    """Both runs, ``second`` after ``first``. Associative; the order matters.

    What CUSUM and Shiryaev-Roberts were *within* a run is gone: looking less often makes false
    alarms rarer still.
    """
    return State(
        first.observations + second.observations,
        first.log_gain + second.log_gain,
        np.logaddexp(first.log_sum + second.log_gain, second.log_sum),
        np.maximum(first.log_best + second.log_gain, second.log_best),
    )


def log_evidence(state: State) -> float:
    """Log of Shiryaev-Roberts' statistic, averaged over the stakes; minus infinity at the start."""
    return _mean(state.log_sum)


def log_evidence_cusum(state: State) -> float:
    """Log of CUSUM's statistic, averaged over the stakes; minus infinity at the start."""
    return _mean(state.log_best)


def is_alarm(state: State, run_length: float) -> bool:
    """Whether a rise is found, at ``run_length`` or more observations between false alarms."""
    return log_evidence(state) >= log(run_length)


def _mean(logs: Floats) -> float:
    if np.isneginf(logs).all():
        return -np.inf
    return float(mixing.mix(logs, mixing.uniform(logs.size)))


def _check(limit: float) -> None:
    if not 0.0 < limit < 1.0:
        raise InvalidInput(f"a mean in [0, 1] has no limit of {limit!r}", where="limit")
