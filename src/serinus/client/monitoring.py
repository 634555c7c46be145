"""What monitoring says of a model: shapes and calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from serinus.client.calls import PAGE, Call, listing, path_of
from serinus.client.types import Page


class Recommendation(msgspec.Struct, frozen=True):
    """NO_ACTION_NEEDED, LOOK_AT_FAILURES, RETRAIN_SOON or RETRAIN_IMMEDIATELY, with reasons."""

    action: str
    reasons: tuple[str, ...]
    since: datetime | None
    state: str
    windows: int
    alarm: str | None


class ColumnProfile(msgspec.Struct, frozen=True):
    """What one column of a version's traffic looked like.

    ``rows`` counts its values, missing ones included; ``below`` and ``above`` those outside of all
    training, ``unseen`` the categories that training did not have: each None of a column that can
    have none. ``distance`` is to the reference (Jensen-Shannon, bits, 0 to 1), ``counts`` are by
    the reference's cells.
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


class Profile(msgspec.Struct, frozen=True):
    """What one version's traffic looked like from ``since`` to ``until``, by its own times."""

    model: str
    version: str
    since: datetime
    until: datetime
    rows: int
    columns: tuple[ColumnProfile, ...]


class Monitoring(msgspec.Struct, frozen=True):
    """Whether monitoring runs, by which settings, and what it recommends for each model."""

    running: bool
    window_seconds: float
    window_rows: int
    false_alarm_windows: float
    retrain_automatically: bool
    models: dict[str, str]


def performance_history(model: str, *, after: str | None = None) -> Call[Page[dict[str, Any]]]:
    """Performance by window, newest first."""
    return listing(path_of("models", model, "performance-history"), dict[str, Any], after)


def drift_history(
    model: str, *, limit: int = PAGE, after: str | None = None
) -> Call[Page[dict[str, Any]]]:
    """Drift by window, newest first."""
    return listing(path_of("models", model, "drift-history"), dict[str, Any], after, limit=limit)


def profiles(
    model: str,
    *,
    version: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    resolution: Literal["minute", "hour", "day", "all"] = "hour",
    after: str | None = None,
) -> Call[Page[Profile]]:
    """What the traffic of a model's versions looked like, oldest first.

    Args:
        model: the model.
        version: only this one.
        since: from here on; left out, the last day.
        until: up to here.
        resolution: how much is summed up in one item.
        after: the ``next`` of the page before.
    """
    return listing(
        path_of("models", model, "profiles"),
        Profile,
        after,
        version=version,
        since=None if since is None else since.isoformat(),
        until=None if until is None else until.isoformat(),
        resolution=resolution,
    )


def recommendation(model: str) -> Call[Recommendation]:
    """What to do about a model, with the reasons."""
    return Call("GET", path_of("models", model, "recommendation"), Recommendation)


def monitoring() -> Call[Monitoring]:
    """Whether monitoring runs, and what it recommends for each model."""
    return Call("GET", "/monitoring/status", Monitoring)
