"""What plans will do and would have done: forecasts, replays and what-ifs as frozen values."""

from __future__ import annotations

from datetime import datetime

import msgspec

from serinus.client.types import Plan


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's traffic was like lately; None is what nothing is known of."""

    requests: int
    seconds: float
    error_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    labelled: float | None = None
    loss: float | None = None
    label_delay_seconds: float = 0.0


class Duration(msgspec.Struct, frozen=True):
    """Median and 90 % quantile, in requests and in hours.

    Requests are None where it hardly ever happens, hours also where the traffic is unknown.
    """

    requests: float | None
    requests_90: float | None
    hours: float | None = None
    hours_90: float | None = None


class StepForecast(msgspec.Struct, frozen=True):
    """How long an equal challenger stays at a step, and which guardrail decides last."""

    step: int
    name: str
    duration: Duration
    slowest: str
    units: float | None
    units_90: float | None
    decided: float | None


class HarmForecast(msgspec.Struct, frozen=True):
    """How long a challenger of a certain harm lasts until its rollback, at one step."""

    harm: str
    step: int
    name: str
    duration: Duration


class ExperimentForecast(msgspec.Struct, frozen=True):
    """What an A/B test will have seen at its planned end, and the smallest effect it finds then."""

    hours: float
    units: float | None
    fewest: float | None
    effect: float | None
    metric: str
    unit: str
    sample: int = 0
    least_hours: float = 0.0
    most_hours: float = 0.0


class Forecast(msgspec.Struct, frozen=True):
    """How a plan will go: simulated rollouts of an equal challenger, and of harmful ones."""

    traffic: Traffic | None
    runs: int
    steps: tuple[StepForecast, ...]
    whole: Duration
    harms: tuple[HarmForecast, ...]
    assumptions: tuple[str, ...]
    experiment: ExperimentForecast | None = None


class Proposal(msgspec.Struct, frozen=True):
    """A plan that has not begun: its steps in words, how it will go, why it could not decide.

    A plan with ``faults`` is refused; each of ``remedies`` alone would leave none. ``risks`` say
    what can go wrong all the same.
    """

    plan: Plan
    words: tuple[str, ...]
    summary: str
    forecast: Forecast
    faults: tuple[str, ...]
    remedies: tuple[str, ...]
    risks: tuple[str, ...] = ()


class Mismatch(msgspec.Struct, frozen=True):
    """A recorded verdict that did not come out again."""

    at: datetime
    fold: int
    recorded: str
    replayed: str


class Replay(msgspec.Struct, frozen=True):
    """What came of computing every verdict again; ``exact`` if all were equal, bit for bit.

    ``unreplayable`` more were recorded before it was kept what was folded when.
    """

    deployment: str
    exact: bool
    folds: int
    events: int
    looks: int
    evidence: str
    evidence_equal: bool
    mismatches: tuple[Mismatch, ...]
    unreplayable: int = 0


class Passed(msgspec.Struct, frozen=True):
    """A gate that was passed, or would have been, after so many requests and pairs in all."""

    step: int
    at: datetime
    requests: int


class WhatIf(msgspec.Struct, frozen=True):
    """What another policy would have decided on the same traffic, beside what was decided.

    It was not asked after ``skipped`` of the batches that the controller folded. ``compared`` says
    by what it was judged past its gates, what was left out, and what cannot be known.
    """

    deployment: str
    steps: tuple[str, ...]
    outcome: str
    at: datetime | None
    requests: int
    reason: str
    passed: tuple[Passed, ...]
    recorded_outcome: str
    recorded_at: datetime | None
    recorded_requests: int
    recorded_reason: str
    recorded_passed: tuple[Passed, ...]
    skipped: int = 0
    compared: str = ""
