"""Has the failing share or the loss of the version in production risen above what it may be?

A rollout's verdict ends with the rollout; this watch never does. It follows every request and
every label in the order in which they are read, with the e-detectors of
:mod:`serinus.stats.e_detector`. False alarms come as seldom as monitoring's drift alarms: about one
unit of capital is put in a window, in parts that are fixed before the observations which they bet
on, hence on average at least ``false_alarm_windows`` windows pass until one.

Labels are taken as they come: where it depends on what they say when they come, they are no fair
sample, as for everything here but delivery's judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from math import log

import msgspec
import numpy as np

from serinus import clock
from serinus.monitoring import performance
from serinus.monitoring.performance import Expected
from serinus.monitoring.profile import Extent
from serinus.monitoring.traffic import Span
from serinus.stats import e_detector
from serinus.stats.e_detector import Detector, State
from serinus.wire import Label

POINTS = 0.02
"""More wrong answers than in the test, as a share of all, that no label alarm is raised for."""
PARTS = 0.1
"""Likewise of a regression, as a part of the test's mean absolute error."""

# Errors count up to so many times the test's mean: the mean of what is cut off can only be less.
_CAP = 5.0
_HIGHEST = 0.95
# Evidence beyond this times what alarms is not kept: it would only put off the end of an alarm.
_SPARE = 10.0


class Watched(StrEnum):
    """What is watched for a rise."""

    FAILING = "failing"
    """Requests by whether the version failed."""
    LOSS = "loss"
    """Labels by the loss of the answer: wrong or not, or the absolute error."""


class Limit(msgspec.Struct, frozen=True):
    """The mean that is nothing to report; ``cap`` of it is the largest value, None of events."""

    mean: float
    cap: float | None = None


class Rise(msgspec.Struct, frozen=True, kw_only=True):
    """How one watch of a version stands.

    Attributes:
        limit: what is watched against.
        evidence: by stake, log of the detector's statistic; empty before the first observation.
        due: capital that the next observations bet with: the first unit, then parts of a window.
        last_at: when the newest observation was made, epoch microseconds.
        since: when evidence began to speak for a rise; None while it speaks against one.
        observations: since then.
        total: sum of their values.
        found_at: when the alarm was raised; None without one. It stands until evidence speaks
            against a rise.
    """

    limit: Limit
    evidence: tuple[float, ...] = ()
    due: float = 1.0
    last_at: int = 0
    since: datetime | None = None
    observations: int = 0
    total: float = 0.0
    found_at: datetime | None = None


def loss_limit(task: str, expected: Expected) -> Limit | None:
    """The live loss that a version's test leaves possible, and a tolerance; None without a test."""
    if task == "regression":
        tested = expected.metrics.get("mae", 0.0)
        if tested <= 0:
            return None
        return Limit(performance.bar("mae", expected) + PARTS * tested, _CAP * tested)
    if "accuracy" not in expected.metrics:
        return None
    return Limit(min(_HIGHEST, 1.0 - performance.bar("accuracy", expected) + POINTS))


def losses(labels: Sequence[Label], task: str) -> list[float]:
    """The loss of each label in the target's unit; a label that is no number has none."""
    told = [performance.sums(label, task) for label in labels]
    return [it.error if task == "regression" else 1.0 - it.right for it in told if it.rows]


def follow(
    held: Rise, values: Sequence[float], span: Span, extent: Extent, false_alarm_windows: float
) -> Rise:
    """How the watch stands after more observations.

    Args:
        held: how it stood before.
        values: at least one, none negative; those above the limit's cap count as it.
        span: when they were made, and how many of them windows count as rows.
        extent: of a window.
        false_alarm_windows: windows between false alarms, on average at least.
    """
    detector, cap = _detector(held.limit), held.limit.cap or 1.0
    seen = np.minimum(np.array(values, np.float64) / cap, 1.0)
    state = e_detector.merge(_state(held), e_detector.observe_block(detector, seen, held.due))
    log_evidence = e_detector.log_evidence(state)
    last_at = max(held.last_at, span.last_at)
    # A window has so many rows and lasts so many seconds, both: this is at most one unit for each.
    due = min(1.0, span.requests / extent.rows)
    if extent.seconds > 0:
        passed = (last_at - held.last_at) / 1e6 if held.last_at else 0.0
        due = min(due, passed / extent.seconds)
    kept = np.minimum(state.log_sum, log(_SPARE * false_alarm_windows))
    following = Rise(limit=held.limit, evidence=tuple(kept.tolist()), due=due, last_at=last_at)
    if log_evidence <= 0:
        return following
    alarm = log_evidence >= log(false_alarm_windows)
    found = held.found_at or (clock.from_epoch_us(span.last_at) if alarm else None)
    return msgspec.structs.replace(
        following,
        since=held.since or clock.from_epoch_us(span.first_at),
        observations=held.observations + len(values),
        total=held.total + float(seen.sum()) * cap,
        found_at=found,
    )


def _detector(limit: Limit) -> Detector:
    if limit.cap is None:
        return e_detector.rate_above(limit.mean)
    return e_detector.mean_above(min(_HIGHEST, limit.mean / limit.cap))


def _state(held: Rise) -> State:
    detector = _detector(held.limit)
    if not held.evidence:
        return e_detector.start(detector)
    return State(
        0, np.zeros(detector.stakes.size), np.array(held.evidence), np.array(held.evidence)
    )
