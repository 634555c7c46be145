"""The nouns of monitoring, as frozen values."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec

OUTPUT = "(answer)"
"""The name under which a version's own answers appear beside its features."""


Metric: TypeAlias = Literal["accuracy", "mae", "rmse"]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What the version in production was trained on: the row of the registry, as drift needs it.

    ``profile`` is :func:`serinus.stats.bins.reference_profile`, its features in the order of the
    model's inputs; an empty one leaves drift unjudged. ``metrics`` are those of its test.
    """

    model: str
    version: str
    task: str
    profile: dict[str, Any]
    metrics: dict[str, float]


class DriftWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A closed window of the version in production, judged against all its windows before.

    By feature: ``distances`` to the reference (Jensen-Shannon, bits, 0 to 1), ``deviations`` of
    their logarithms from the usual (robust z). ``score`` is the largest deviation, ``p_value``
    its rank, ``detector`` the evidence so far; ``alarm`` if that reached the run length.
    """

    model: str
    version: str
    window: int
    opened_at: datetime
    closed_at: datetime
    rows: int
    distances: dict[str, float]
    deviations: dict[str, float]
    score: float
    p_value: float
    detector: float
    alarm: bool


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What one column of a version's traffic looked like.

    Attributes:
        name: a feature, or the version's own answers.
        rows: how many values were counted, missing ones included.
        distance: to the reference (Jensen-Shannon, bits, 0 to 1).
        missing: values that were not there.
        below: numbers under all of training; None of categories, and so are the next two.
        above: numbers over all of training.
        infinite: numbers without an end.
        unseen: categories that training did not have; None of numbers.
        counts: by cell, in the order of the reference's.
    """

    name: str
    rows: int
    distance: float
    missing: int
    below: int | None
    above: int | None
    infinite: int | None
    unseen: int | None
    counts: tuple[int, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What one version's traffic looked like from ``since`` to ``until``, by its own times."""

    model: str
    version: str
    since: datetime
    until: datetime
    rows: int
    columns: tuple[ColumnProfile, ...]


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of live answers with its 95 % interval, beside that of the version's own test."""

    name: Metric
    value: float
    low: float
    high: float
    test: float | None


class PerformanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """How well the predictions made in one window turned out, by the labels that came so far."""

    model: str
    version: str
    window: int
    opened_at: datetime
    closed_at: datetime | None
    rows: int
    measures: tuple[Measure, ...]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's traffic was like lately, and how one version answered it.

    ``requests`` came to the model within ``seconds``, whichever version answered. The rest is of
    the version: ``error_rate`` and the latencies of its windows of that time; ``labelled`` is the
    share of its answers that have labels and ``loss`` their mean loss (the share of wrong classes,
    or the mean absolute error in the target's unit), of its newest windows with labels, however
    old. A fallback is the champion's answer. None is what nothing is known of.
    """

    requests: int
    seconds: float
    error_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    labelled: float | None
    loss: float | None


class State(StrEnum):
    """How much drift can be said."""

    IDLE = "idle"
    """No version is in production, or it has no reference."""
    CALIBRATING = "calibrating"
    """Too few windows to know what is usual."""
    WATCHING = "watching"
    DRIFTING = "drifting"
    """An alarm was raised; it stands until another version is in production."""


class Action(StrEnum):
    """What is recommended."""

    NO_ACTION_NEEDED = "NO_ACTION_NEEDED"
    RETRAIN_SOON = "RETRAIN_SOON"
    """The traffic has changed; whether that hurts, no label has proven yet."""
    RETRAIN_IMMEDIATELY = "RETRAIN_IMMEDIATELY"
    """Labels prove that the version answers worse than in its test."""
    LOOK_AT_FAILURES = "LOOK_AT_FAILURES"
    """Too many requests fail: for the version before, or a repair, not for a retraining."""


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a model, why, and since when there is reason to.

    ``alarm`` names the drift alarm in force as model/version/window: one occurrence, one name.
    """

    action: Action
    reasons: tuple[str, ...]
    since: datetime | None
    state: State
    windows: int
    alarm: str | None
