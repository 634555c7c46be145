"""What the control plane and the gateway answer, as frozen values: the API's public shapes.

The HTTP API builds its answers from these very types (its OpenAPI document is made of them), so
that client and server cannot disagree. Times are UTC; shares and rates lie in [0, 1].
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from serinus.wire import Answer, BreakerRules, Manifest

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; ``next`` is the cursor of the part after it, None at the end."""

    items: list[T]
    next: str | None = None


# ------------------------------------------------------------------ registry


class Model(msgspec.Struct, frozen=True):
    """A name under which versions are kept, and what is in force for it."""

    name: str
    model_type: str
    task: str
    description: str
    created_at: datetime
    champion: str | None = None
    deployment: str | None = None


class GateResult(msgspec.Struct, frozen=True):
    """What one gate said before a version was registered."""

    name: str
    passed: bool
    detail: str


class Version(msgspec.Struct, frozen=True):
    """One immutable version of a model; only its stage ever changes."""

    model: str
    version: str
    stage: str
    uri: str
    run_id: str
    mlflow_version: str
    model_type: str
    task: str
    description: str
    parent: str | None
    manifest: Manifest
    metrics: dict[str, float | None]
    params: dict[str, Any]
    tags: dict[str, str]
    dataset: dict[str, Any]
    gates: tuple[GateResult, ...]
    created_at: datetime


class StageChange(msgspec.Struct, frozen=True):
    """One move of one version between stages, with who asked for it and why."""

    model: str
    version: str
    from_stage: str
    to_stage: str
    at: datetime
    actor: str
    reason: str


class Comparison(msgspec.Struct, frozen=True):
    """Two versions side by side: each metric's two values, and the parameters that differ."""

    first: Version
    second: Version
    metrics: dict[str, tuple[float | None, float | None]]
    params: dict[str, tuple[Any, Any]]
    same_data: bool
    breaks: tuple[str, ...]


# ------------------------------------------------------------------ delivery


class Guardrail(msgspec.Struct, frozen=True):
    """A metric that may not get worse, its share of the error budget, and what is no harm yet."""

    kind: str
    alpha: float
    tolerance: float = 0.0


class Gate(msgspec.Struct, frozen=True):
    """The margins that a step's evidence must exclude; None asks nothing."""

    error_odds: float | None = None
    error_points: float | None = None
    quality_points: float | None = None
    latency_ratio: float | None = None
    value_loss: float | None = None
    score_shift: float | None = None
    share_error: float | None = None


class Step(msgspec.Struct, frozen=True):
    """A traffic share (or a mirror) and its exit criteria; times in seconds."""

    share: float
    mirror: float
    gate: Gate
    min_requests: int
    min_seconds: float
    max_seconds: float
    approval: bool = False
    replicas: int = 0


class QualityScale(msgspec.Struct, frozen=True):
    """How a label turns an answer into a loss in [0, 1]."""

    task: str
    cap: float
    baseline: float


class ValueScale(msgspec.Struct, frozen=True):
    """How a business value becomes a gain in [0, 1]."""

    floor: float
    cap: float
    baseline: float


class LatencyScale(msgspec.Struct, frozen=True):
    """What is forgiven of a challenger's latency before it is compared; microseconds."""

    tolerance: float
    slack_us: float
    early_ratio: float
    last_ratio: float


class Positives(msgspec.Struct, frozen=True):
    """The class that precision, recall or F1 asks about: its shares of labels and answers."""

    true: float
    claimed: float
    rate: float
    known: str


class Experiment(msgspec.Struct, frozen=True):
    """What an A/B test compares: the share of each challenger, by which metric, and until when."""

    challengers: tuple[str, ...]
    split: tuple[float, ...]
    metric: str
    min_seconds: float
    planned_seconds: float
    confidence: float
    covariate: str
    allocation: str
    positives: Positives | None = None


class Plan(msgspec.Struct, frozen=True):
    """Everything that decides a deployment, frozen before its first request."""

    steps: tuple[Step, ...]
    guardrails: tuple[Guardrail, ...]
    quality: QualityScale
    latency: LatencyScale
    value: ValueScale | None
    score_cuts: tuple[float, ...]
    classes: tuple[Answer, ...]
    same_within: float
    promote_alpha: float
    unit: str
    salt: str
    label_window_seconds: float
    label_coverage: float
    load_seconds: float
    soak_seconds: float
    auto_promote: bool
    promotes: bool = True
    soak_mirror: float = 1.0
    clone: float = 0.0
    breaker: BreakerRules = BreakerRules()
    experiment: Experiment | None = None


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; shares and margins in [0, 1], times in the unit that names end in."""

    model: str
    challenger: str
    champion: str | None
    strategy: str
    shares: tuple[float, ...]
    shadow: bool
    labels: bool
    unit: str
    error_odds: float
    error_points: float
    quality_points: float
    quality_tolerance: float
    latency_ratio: float
    latency_tolerance: float
    latency_slack_ms: float
    service_level: float
    score_shift: float | None
    class_odds: float | None
    disagreement: float | None
    value_floor: float
    value_cap: float | None
    value_loss: float | None
    entities: int | None
    alphas: dict[str, float]
    min_requests: int | None
    min_seconds: float
    max_hours: float
    label_window_seconds: float
    soak_seconds: float
    auto_promote: bool
    approvals: bool
    clone: float | None = None
    soak_mirror: float = 1.0
    replicas: int | None = None
    batch: int = 1
    others: tuple[str, ...] = ()
    split: tuple[float, ...] = ()
    metric: str = ""
    min_hours: float = 24.0
    confidence: float = 0.95
    covariate: str = ""
    allocation: str = "fixed"


class Deployment(msgspec.Struct, frozen=True):
    """One attempt to bring a challenger to traffic: what was asked, its plan, where it stands.

    ``unreadable`` says what is damaged of one that stands still for it; its plan is empty then.
    """

    id: str
    model: str
    champion: str | None
    challenger: str
    strategy: str
    spec: Spec
    plan: Plan
    plan_hash: str
    phase: str
    step: int
    step_entered_at: datetime
    verdict: str
    reason: str
    requested_by: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    unreadable: str = ""

    @property
    def live(self) -> bool:
        """Whether it still moves or holds traffic."""
        return self.ended_at is None

    @property
    def position(self) -> str:
        """Where it is, in words: ``shadow``, ``25 %`` or ``all traffic``."""
        return step_name(self.plan, self.step)

    @property
    def challengers(self) -> tuple[str, ...]:
        """The challengers in the order of the plan; but for an experiment there is one."""
        return self.plan.experiment.challengers if self.plan.experiment else (self.challenger,)

    @property
    def versions(self) -> str:
        """The challengers in words: ``1.1.0, 1.2.0``."""
        return ", ".join(self.challengers)

    @property
    def kept_champion(self) -> bool:
        """Whether it ended well and brought nothing to production: it was to find out, and did."""
        return self.phase == "succeeded" and self.step < len(self.plan.steps)

    @property
    def steps(self) -> tuple[str, ...]:
        """Its steps in words; ``all traffic`` is one of them only if it leads there."""
        onward = self.plan.promotes or self.step >= len(self.plan.steps)
        count = len(self.plan.steps) + (onward and not self.kept_champion)
        return tuple(step_name(self.plan, number) for number in range(count))


def percent(share: float) -> str:
    """A share as a percentage with one decimal, and more where it is below 1 %: ``33.3 %``."""
    number = 100 * share
    return f"{round(number, 1 if number >= 1 else 3):g} %"


def step_name(plan: Plan, step: int) -> str:
    """A step in words: ``shadow``, ``25 %``, or ``all traffic`` past the last one."""
    if step >= len(plan.steps):
        return "all traffic"
    current = plan.steps[step]
    if current.mirror > 0:
        return "shadow"
    split = plan.experiment.split if plan.experiment else (current.share,)
    return " + ".join(percent(share) for share in split)


class Assessment(msgspec.Struct, frozen=True):
    """One guardrail's evidence; logarithms are natural, bounds are log(1/alpha)."""

    kind: str
    state: str
    requests: int
    challenger_requests: int
    champion: float | None
    challenger: float | None
    log_harm: float
    harm_bound: float
    log_safe: float | None
    safe_bound: float
    margin: str
    sentence: str


class Verdict(msgspec.Struct, frozen=True):
    """What the evidence says at one look, with its numbers and one readable sentence."""

    outcome: str
    reason: str
    requests: int
    alpha_spent: float
    guardrails: tuple[Assessment, ...]


class Look(msgspec.Struct, frozen=True):
    """A verdict with the moment and the step it was given at."""

    at: datetime
    step: int
    verdict: Verdict


class Transition(msgspec.Struct, frozen=True):
    """One row of a deployment's history."""

    from_phase: str
    to_phase: str
    step: int
    at: datetime
    actor: str
    verdict: str
    reason: str


class WorkerView(msgspec.Struct, frozen=True):
    """A gateway worker and the versions (``model@version``) that it has ready.

    ``circuits`` are those of its versions that are not closed: ``open`` or ``half-open``.
    """

    worker: str
    revision: int
    ready: tuple[str, ...]
    failed: dict[str, str]
    circuits: dict[str, str] = {}


class Counts(msgspec.Struct, frozen=True):
    """Requests, failures and labels by arm, and what is in force at the gateways.

    ``told`` is how many labels and values came at all, be it twice, too late or for requests that
    do not count; ``labelled`` how many of the labels are evidence. Labels count in the order of
    their requests: ``delayed`` of them wait for an earlier request that has none yet, until
    ``delayed_until`` at the latest. ``rates`` are requests (pairs) a second by arm of late.
    ``share`` is the challenger's in the routing table, ``shares`` those of all versions.
    """

    requests: dict[str, int]
    failures: dict[str, int]
    labelled: dict[str, int]
    told: dict[str, int]
    share: float
    mirror: float
    revision: int
    workers: list[WorkerView]
    delayed: int = 0
    delayed_until: datetime | None = None
    rates: dict[str, float] = {}
    shares: dict[str, float] = {}


class Ahead(msgspec.Struct, frozen=True):
    """What the present step still waits for, longest first.

    ``waits_for`` is a guardrail's kind, or ``requests``, ``time``, ``workers``, ``person``,
    ``soak`` or ``controller``; ``units`` how many requests (pairs, labels) it still needs and
    ``seconds`` how long that takes at the present pace, None where it cannot be told; ``until``
    when the step's time is over.
    """

    waits_for: str
    sentence: str
    units: float | None = None
    seconds: float | None = None
    until: datetime | None = None


class Setback(msgspec.Struct, frozen=True):
    """A rollback in short: what lost the traffic to what, why, and whether it helped."""

    id: str
    model: str
    taken_back: str
    to: str
    cause: str
    state: str
    actor: str
    reason: str
    started_at: datetime
    ended_at: datetime | None


class DeploymentStatus(msgspec.Struct, frozen=True):
    """A deployment with all that is known of it now.

    ``latest`` are its newest transitions, oldest first; ``retries`` how often it was begun again;
    ``rollback`` is the one that ended it, and of a live deployment the model's last; ``dropped``
    says of challengers of an experiment why they were taken out.
    """

    deployment: Deployment
    counts: Counts
    verdict: Verdict | None
    ahead: Ahead | None = None
    latest: tuple[Transition, ...] = ()
    retries: int = 0
    rollback: Setback | None = None
    dropped: dict[str, str] = {}


# ------------------------------------------------------------------ health


class Part(msgspec.Struct, frozen=True):
    """The health of one part of the installation."""

    name: str
    status: str
    detail: str = ""


class Health(msgspec.Struct, frozen=True):
    """``ok``, or ``degraded`` with the parts that are not."""

    status: str
    version: str
    parts: tuple[Part, ...] = ()


# ------------------------------------------------------------------ gateway
