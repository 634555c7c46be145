"""The nouns of a deployment, as frozen values."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from serinus.wire import BreakerRules

Strategy = Literal["shadow", "canary", "blue_green", "ab_test", "rolling"]
Allocation = Literal["fixed", "thompson"]


class Phase(StrEnum):
    """Where a deployment is in its life; :data:`TRANSITIONS` holds every legal move."""

    PENDING = "pending"
    """Accepted; the gateways are loading and warming the challenger."""
    RUNNING = "running"
    """At a step of its plan, collecting evidence."""
    PAUSED = "paused"
    """Held by hand or for an approval: the share stays, evidence is folded, rollback is live."""
    SOAKING = "soaking"
    """The challenger holds Production; the former champion is still warm."""
    SUCCEEDED = "succeeded"
    """The soak is over and the challenger is the champion; or the plan was only to find out."""
    ROLLED_BACK = "rolled_back"
    """Harm was proven, or a person asked: the champion has all traffic."""
    ABORTED = "aborted"
    """Ended by hand before any verdict: the champion has all traffic."""
    INCONCLUSIVE = "inconclusive"
    """Time ran out before the evidence decided: the champion has all traffic."""


LIVE = frozenset({Phase.PENDING, Phase.RUNNING, Phase.PAUSED, Phase.SOAKING})

_ENDED_BADLY = frozenset({Phase.ROLLED_BACK, Phase.ABORTED, Phase.INCONCLUSIVE})
_RETRY = frozenset({Phase.PENDING})

TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.PENDING: frozenset({Phase.RUNNING, Phase.SOAKING}) | _ENDED_BADLY,
    Phase.RUNNING: frozenset({Phase.RUNNING, Phase.PAUSED, Phase.SOAKING, Phase.SUCCEEDED})
    | _ENDED_BADLY,
    Phase.PAUSED: frozenset({Phase.RUNNING, Phase.SOAKING, Phase.SUCCEEDED}) | _ENDED_BADLY,
    Phase.SOAKING: frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.ABORTED}),
    Phase.SUCCEEDED: frozenset(),
    Phase.ROLLED_BACK: _RETRY,
    Phase.ABORTED: _RETRY,
    Phase.INCONCLUSIVE: _RETRY,
}
"""Every legal move; the store repeats the guard with the phase and the step in its UPDATE.

From RUNNING or PAUSED to SUCCEEDED without a soak ends what was to bring no version to production.
The way back to PENDING is a retry: the same plan, step and evidence.
"""


class Outcome(StrEnum):
    """What the judge says of the evidence so far."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CONTINUE = "continue"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"


Kind = Literal[
    "errors",
    "service_level",
    "latency",
    "distribution",
    "class_mix",
    "quality",
    "business",
    "sample_ratio",
    "shadow_errors",
    "shadow_quality",
    "disagreement",
]


class Guardrail(msgspec.Struct, frozen=True):
    """A metric that may not get worse; ``alpha`` is its share of the budget for false rollbacks.

    ``tolerance`` is what counts as no harm yet, in the metric's own terms: the failing share that
    a service level allows, the distance of two score distributions, the ratio of a class's
    frequencies, the share of requests that two versions may answer differently, points of the
    loss. 0 elsewhere.
    """

    kind: Kind
    alpha: float
    tolerance: float = 0.0


class Gate(msgspec.Struct, frozen=True):
    """What the evidence must exclude before traffic moves on: a margin for each guardrail.

    ``error_odds`` or ``error_points`` (either is enough: their e-values are averaged),
    ``quality_points`` in points of the loss (0.02 is two points of accuracy), ``latency_ratio``
    (1.25 is a quarter slower), ``value_loss`` (0.2 is a fifth of the business value lost),
    ``score_shift`` (distance of the score distributions) and ``share_error`` (0.1 is a delivered
    share a tenth off the configured one). None asks nothing.
    """

    error_odds: float | None = None
    error_points: float | None = None
    quality_points: float | None = None
    latency_ratio: float | None = None
    value_loss: float | None = None
    score_shift: float | None = None
    share_error: float | None = None


class Step(msgspec.Struct, frozen=True):
    """A traffic share (or a mirror) and its exit criteria. Times in seconds.

    ``min_requests`` are requests (pairs in a mirror step) that this very step must add.
    ``replicas`` is how many of a rolling plan's replicas have the new version, for those who start
    real ones; 0 says nothing of them. In an experiment ``share`` is the first challenger's.
    """

    share: float
    mirror: float
    gate: Gate
    min_requests: int
    min_seconds: float
    max_seconds: float
    approval: bool = False
    replicas: int = 0

    @property
    def shadow(self) -> bool:
        """Whether the challenger only watches."""
        return self.mirror > 0


class QualityScale(msgspec.Struct, frozen=True):
    """How a label turns an answer into a loss in [0, 1], frozen before the first request.

    Classification: 0 if right, 1 if wrong. Regression: |error| / ``cap``, at most 1.
    ``baseline`` is the champion's expected loss; it affects speed only, never validity.
    """

    task: Literal["classification", "regression"]
    cap: float
    baseline: float


class ValueScale(msgspec.Struct, frozen=True):
    """How a business value becomes a gain in [0, 1]: clipped to ``floor`` .. ``cap``, then scaled.

    ``baseline`` is the champion's expected gain; it affects speed only, never validity.
    """

    floor: float
    cap: float
    baseline: float


class LatencyScale(msgspec.Struct, frozen=True):
    """Which latencies of a challenger are compared with the champion's, after forgiving some.

    A challenger's latency counts as ``(latency - slack) / ratio``, with ``ratio`` = 1 +
    ``tolerance`` where harm is asked for, and ``early_ratio`` or ``last_ratio`` where the gates
    ask for safety. ``slack_us`` in microseconds.
    """

    tolerance: float
    slack_us: float
    early_ratio: float
    last_ratio: float


class Positives(msgspec.Struct, frozen=True):
    """The class that precision, recall or F1 asks about, as a champion is thought to meet it.

    ``true`` and ``claimed`` are its shares of all labels and of all answers, ``rate`` is the
    metric itself. ``known`` is what they rest on: rows that the champion did not learn from, its
    answers alone (then the labels are thought alike), or nothing (then it is taken for rare).
    """

    true: float
    claimed: float
    rate: float
    known: Literal["test", "answers", "nothing"]


class Experiment(msgspec.Struct, frozen=True):
    """What an A/B test compares, by what, and when it is asked. Times in seconds.

    ``split`` is the share of each of ``challengers``, the champion has the rest. The planned end
    comes once ``min_seconds`` are over and the step's ``min_requests`` are there (in units), after
    ``planned_seconds`` at the latest.
    ``covariate`` names an input that explains part of the metric, "" for none. ``positives`` is the
    class that the metric asks about; None where it asks about none.
    """

    challengers: tuple[str, ...]
    split: tuple[float, ...]
    metric: str
    min_seconds: float
    planned_seconds: float
    confidence: float
    covariate: str
    allocation: Allocation
    positives: Positives | None = None


class Plan(msgspec.Struct, frozen=True):
    """Everything that decides a deployment, frozen and hashed before its first request.

    ``score_cuts`` part the champion's scores into tenths, ``classes`` are those whose frequencies
    are compared; ``same_within`` is how far two answers of a regression may differ and still count
    as the same; ``value`` is None where no business value is judged. ``promotes`` is whether the
    last gate brings the challenger to production; else the plan is only to find out.
    ``soak_mirror`` is the share of requests that the former champion scores too while it is kept
    warm, ``clone`` the share of mirrored requests that the champion answers once more.
    ``breaker`` says when a gateway asks the challenger no more; ``experiment`` is None but for an
    A/B test.
    """

    steps: tuple[Step, ...]
    guardrails: tuple[Guardrail, ...]
    quality: QualityScale
    latency: LatencyScale
    value: ValueScale | None
    score_cuts: tuple[float, ...]
    classes: tuple[str | int | bool, ...]
    same_within: float
    promote_alpha: float
    unit: Literal["request", "entity"]
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

    def has(self, *kinds: Kind) -> bool:
        """Whether any of these guardrails is on."""
        return any(rail.kind in kinds for rail in self.guardrails)


class DeploymentSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person asks for; everything left out has a default that works.

    ``shares`` are the challenger's traffic shares before all traffic. ``labels`` says whether
    labels will come: without them quality cannot be a guardrail. Margins apply to the last step.

    ``score_shift``, ``class_odds`` and ``disagreement`` say how much the challenger may answer
    otherwise than the champion; left out, they are judged only where no labels come, because
    where labels come a better model may well answer otherwise. ``value_cap`` turns the business
    metric on: values are clipped to ``value_floor`` .. ``value_cap``. ``entities`` is how many
    distinct entities are expected, for plans by entity. ``alphas`` replaces the usual shares of the
    budget for false rollbacks, which is 5 % in all.

    ``clone`` is the share of mirrored requests that the champion answers once more, by which its
    own noise is told from disagreement; left out, it is all of them where disagreement is judged
    and a tenth elsewhere. ``soak_mirror`` is the share of requests that the former champion scores
    too while it is kept warm.

    ``min_requests`` are the least of each step, left out 200; of an A/B test they are the planned
    sample, left out enough of them to find a difference of ``quality_points`` of a rate, or a
    tenth of a standard deviation of a mean, in four of five tests.

    A rolling plan replaces ``batch`` of ``replicas`` at a time; left out, those are the live
    gateway workers, at least two.

    An A/B test has further challengers in ``others``; ``split`` is the share of each, the first
    challenger's first (empty: all versions have equal parts); ``metric`` is what success is judged
    by (empty: accuracy, or the squared error of a regression); it runs at least ``min_hours`` and
    ends after ``max_hours``; ``covariate`` names an input that explains part of the metric;
    ``allocation`` is whether shares are fixed or follow what was learnt.
    """

    model: str
    challenger: str
    champion: str | None = None
    strategy: Strategy = "canary"
    shares: tuple[float, ...] = (0.05, 0.25, 0.5)
    shadow: bool = True
    labels: bool = True
    unit: Literal["request", "entity"] = "request"
    error_odds: float = 2.0
    error_points: float = 0.005
    quality_points: float = 0.02
    quality_tolerance: float = 0.0
    latency_ratio: float = 1.25
    latency_tolerance: float = 0.1
    latency_slack_ms: float = 1.0
    service_level: float = 0.05
    score_shift: float | None = None
    class_odds: float | None = None
    disagreement: float | None = None
    value_floor: float = 0.0
    value_cap: float | None = None
    value_loss: float | None = None
    entities: int | None = None
    alphas: dict[Kind, float] = {}
    min_requests: int | None = None
    min_seconds: float = 0.0
    max_hours: float = 72.0
    label_window_seconds: float = 86_400.0
    soak_seconds: float = 600.0
    auto_promote: bool = True
    approvals: bool = False
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
    allocation: Allocation = "fixed"


class Deployment(msgspec.Struct, frozen=True):
    """One attempt to bring a challenger to traffic: what was asked, its plan, where it stands.

    ``unreadable`` says why what is stored of it cannot be read; its plan is then a blank one, and
    it stands still.
    """

    id: str
    model: str
    champion: str | None
    challenger: str
    strategy: Strategy
    spec: DeploymentSpec
    plan: Plan
    plan_hash: str
    phase: Phase
    step: int
    step_entered_at: datetime
    verdict: Outcome
    reason: str
    requested_by: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    unreadable: str = ""

    @property
    def live(self) -> bool:
        """Whether it still moves or holds traffic."""
        return self.phase in LIVE

    @property
    def waits_for_approval(self) -> bool:
        """Whether its gate has passed, and only a person's word is missing."""
        return self.phase is Phase.PAUSED and self.verdict is Outcome.PROMOTE

    @property
    def challengers(self) -> tuple[str, ...]:
        """The challengers in the order of the plan; but for an experiment there is one."""
        return self.plan.experiment.challengers if self.plan.experiment else (self.challenger,)

    @property
    def comparisons(self) -> dict[int, str]:
        """By place from 0, the id under which the evidence of each challenger is kept.

        That of the deployment's own challenger has the deployment's own id, so that it goes on as
        everybody else's when it is brought to production.
        """
        return {
            place: self.id if version == self.challenger else self.comparison(place)
            for place, version in enumerate(self.challengers)
        }

    def comparison(self, place: int) -> str:
        """The id of the challenger at a place while it is beside the deployment's own."""
        return f"{self.id}+{place}"


class Assessment(msgspec.Struct, frozen=True):
    """One guardrail's evidence, as numbers a person can hold against their bounds.

    ``log_harm`` and ``log_safe`` are natural logarithms of e-values, the bounds are log(1/alpha);
    ``champion`` and ``challenger`` are estimated rates in [0, 1] and ``requests`` and
    ``challenger_requests`` what they rest on. ``log_safe`` is None where the gate asks nothing.
    """

    kind: str
    state: Literal["harm", "safe", "open", "no_data"]
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

    outcome: Outcome
    reason: str
    requests: int
    alpha_spent: float
    guardrails: tuple[Assessment, ...]


class Transition(msgspec.Struct, frozen=True):
    """One row of a deployment's history."""

    from_phase: Phase
    to_phase: Phase
    step: int
    at: datetime
    actor: str
    verdict: Outcome
    reason: str
