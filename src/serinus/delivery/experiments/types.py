"""The nouns of an experiment, as frozen values: what is measured, and what may be said of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Literal

import msgspec

from serinus.stats.intervals import Estimate


class View(StrEnum):
    """Which of the two views an evaluation is; they are never mixed."""

    BEFORE_THE_END = "before_the_end"
    """Valid however often it is looked at; wider. Until the planned end."""
    AT_THE_END = "at_the_end"
    """Fixed-horizon tests, asked once, of the sums as they stood at the planned end."""


class Action(StrEnum):
    """What an evaluation recommends."""

    PROMOTE = "promote"
    KEEP = "keep_champion"
    GO_ON = "go_on"
    NO_DIFFERENCE = "no_difference"


State = Literal["better", "worse", "undecided", "no_data", "dropped"]


class Grouping(msgspec.Struct, frozen=True, array_like=True):
    """How requests fall into groups by one feature.

    By number at ``cuts`` (a value at a cut belongs above it), or by category, where what is none
    of ``categories`` is in the last group, as missing values are in either case.
    """

    feature: str
    place: int
    cuts: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """The groups in words, in order."""
        if self.categories:
            return (*self.categories, "any other")
        if not self.cuts:
            return ("all", "missing")
        told = [f"{value:.6g}" for value in self.cuts]
        between = (f"{low} to {high}" for low, high in pairwise(told))
        return (f"below {told[0]}", *between, f"{told[-1]} or more", "missing")


class Setup(msgspec.Struct, frozen=True):
    """What is fixed when the first request is counted, from the champion's own manifest.

    ``covariate`` is a place among the inputs, None without adjustment.
    """

    task: Literal["classification", "regression"]
    classes: tuple[str | int | bool, ...] = ()
    covariate: int | None = None
    groupings: tuple[Grouping, ...] = ()


class Allocation(msgspec.Struct, frozen=True, array_like=True):
    """What a look made of the challengers' shares, those of ``dropped`` (by place) being out."""

    look: int
    dropped: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment asks, and when it ends. Times in seconds, ``units`` those of all arms.

    ``versions`` are the champion and the challengers; ``shares`` the challengers' at the start.
    """

    metric: str
    versions: tuple[str, ...]
    shares: tuple[float, ...]
    unit: Literal["request", "entity"]
    units: int
    least_seconds: float
    most_seconds: float
    window_seconds: float
    confidence: float = 0.95
    covariate: str | None = None
    allocation: Literal["fixed", "thompson"] = "fixed"


class Arm(msgspec.Struct, frozen=True):
    """One version's side: how much came of it, and its own metric.

    ``share`` is in force now. ``labelled`` is the share of its settled requests whose label came
    in time; None where the metric needs none.
    """

    version: str
    role: Literal["champion", "challenger"]
    share: float
    units: int
    requests: int
    labelled: float | None
    left_out: int
    value: float | None
    error: float | None
    dropped: str = ""


class Test(msgspec.Struct, frozen=True):
    """One classical test beside the main one, by its name."""

    name: str
    p_value: float
    effect: str
    estimate: Estimate


class Segment(msgspec.Struct, frozen=True):
    """The difference within one group of requests, with an interval that holds for all of them."""

    feature: str
    group: str
    units: int
    difference: Estimate


class Finding(msgspec.Struct, frozen=True):
    """A challenger against the champion.

    ``difference`` is in the metric's unit, challenger less champion, with an interval that holds
    for all challengers together; ``relative`` is the same over the champion's value, ``effect``
    over the deviation between units (Cohen's d). The p-values exist at the planned end alone.
    ``reduction`` is the share of the variance that the covariate took away.
    """

    version: str
    state: State
    difference: Estimate | None
    relative: Estimate | None
    effect: Estimate | None
    p_value: float | None
    p_adjusted: float | None
    reduction: float | None
    tests: tuple[Test, ...] = ()
    segments: tuple[Segment, ...] = ()


class Progress(msgspec.Struct, frozen=True):
    """How far the experiment is towards its planned end; ``due`` is the earliest."""

    units: int
    units_planned: int
    seconds: float
    seconds_planned: float
    began_at: datetime | None
    due: datetime | None
    ended_at: datetime | None

    @property
    def share(self) -> float:
        """The lesser of the two, at most 1."""
        told = self.units / self.units_planned
        if self.seconds_planned > 0:
            told = min(told, self.seconds / self.seconds_planned)
        return min(1.0, told)


class Recommendation(msgspec.Struct, frozen=True):
    """What to do, and why in one sentence."""

    action: Action
    version: str | None
    sentence: str


class Evaluation(msgspec.Struct, frozen=True):
    """What may be said of an experiment now.

    ``title`` names the view and ``validity`` says what it is good for. ``winner`` is a challenger
    proven better, of several the one with the largest difference; None if there is none.
    """

    experiment: str
    model: str
    view: View
    title: str
    validity: str
    metric: str
    unit: str
    rises: bool
    counted_by: Literal["request", "entity"]
    confidence: float
    progress: Progress
    arms: tuple[Arm, ...]
    findings: tuple[Finding, ...]
    winner: str | None
    significant: bool
    recommendation: Recommendation
    notes: tuple[str, ...] = ()
