"""How a plan will go, as frozen values."""

from __future__ import annotations

from typing import Literal

import msgspec

from serinus.delivery.types import Kind, Plan


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's traffic was like lately, and how its champion answered it.

    ``requests`` came within ``seconds``. ``error_rate`` in [0, 1]; ``loss`` is the share of wrong
    classes or the mean absolute error; ``labelled`` the share of answers with labels, which come
    ``label_delay_seconds`` after them. None is what nothing is known of.
    """

    requests: int
    seconds: float
    error_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    labelled: float | None = None
    loss: float | None = None
    label_delay_seconds: float = 0.0

    @property
    def per_hour(self) -> float:
        """Requests an hour."""
        return 3600.0 * self.requests / self.seconds


class Duration(msgspec.Struct, frozen=True):
    """How long something takes: median and 90 % quantile, in requests to the model and in hours.

    Requests are None where it hardly ever happens, hours also where the traffic is unknown.
    """

    requests: float | None
    requests_90: float | None
    hours: float | None = None
    hours_90: float | None = None


class StepForecast(msgspec.Struct, frozen=True):
    """How long an equal challenger stays at one step.

    ``slowest`` is the guardrail that decides last. ``units`` and ``units_90`` are the units
    (requests, or distinct entities) needed up to its end, median and 90 %: mirrored ones for a
    mirror step, else those of all live steps so far. An A/B test waits for its end alone, so
    ``slowest`` is empty and no units are needed.
    ``decided`` is the share of simulated rollouts that passed it in its time; None: traffic is
    unknown.
    """

    step: int
    name: str
    duration: Duration
    slowest: Kind | Literal[""]
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
    """What an A/B test will have seen at its planned end.

    ``hours`` from its first request; ``units`` (requests, or distinct entities; labelled, if the
    metric needs it) of all versions by then, and of the one with ``fewest`` those that say anything
    of the metric (of recall, those of its class). ``effect`` is the
    smallest difference of the metric that four of five tests find, in ``unit``: points (0.01 is
    one), or standard deviations between units. None is what cannot be told, or is never found.
    The end comes with ``sample`` units, not before ``least_hours``, after ``most_hours`` at the
    latest.
    """

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
    """How a plan will go: simulated rollouts of an equal challenger, and of harmful ones.

    ``traffic`` is None, and all hours are, where too little was seen. ``assumptions`` are
    sentences: what the figures rest on beside what was observed.
    """

    traffic: Traffic | None
    runs: int
    steps: tuple[StepForecast, ...]
    whole: Duration
    harms: tuple[HarmForecast, ...]
    assumptions: tuple[str, ...]
    experiment: ExperimentForecast | None = None


class Proposal(msgspec.Struct, frozen=True):
    """A plan that has not begun: how it will go, why it could not decide, and what would.

    ``words`` are its steps and ``summary`` its forecast, as a person reads them. A plan with
    ``faults`` is refused; each of ``remedies`` alone would leave none. ``risks`` are sentences:
    what can go wrong all the same.
    """

    plan: Plan
    words: tuple[str, ...]
    summary: str
    forecast: Forecast
    faults: tuple[str, ...]
    remedies: tuple[str, ...]
    risks: tuple[str, ...] = ()
