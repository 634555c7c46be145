"""The nouns of a deployment, as frozen values."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

Strategy = Literal["canary", "blue_green"]


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
    """The soak is over; the challenger is the champion."""
    ROLLED_BACK = "rolled_back"
    """Harm was proven, or a person asked: the champion has all traffic."""
    ABORTED = "aborted"
    """Ended by hand before any verdict: the champion has all traffic."""
    INCONCLUSIVE = "inconclusive"
    """Time ran out before the evidence decided: the champion has all traffic."""


LIVE = frozenset({Phase.PENDING, Phase.RUNNING, Phase.PAUSED, Phase.SOAKING})

TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.PENDING: frozenset(
        {Phase.RUNNING, Phase.SOAKING, Phase.ROLLED_BACK, Phase.ABORTED, Phase.INCONCLUSIVE}
    ),
    Phase.RUNNING: frozenset(
        {
            Phase.RUNNING,
            Phase.PAUSED,
            Phase.SOAKING,
            Phase.ROLLED_BACK,
            Phase.ABORTED,
            Phase.INCONCLUSIVE,
        }
    ),
    Phase.PAUSED: frozenset(
        {Phase.RUNNING, Phase.SOAKING, Phase.ROLLED_BACK, Phase.ABORTED, Phase.INCONCLUSIVE}
    ),
    Phase.SOAKING: frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.ABORTED}),
    Phase.SUCCEEDED: frozenset(),
    Phase.ROLLED_BACK: frozenset(),
    Phase.ABORTED: frozenset(),
    Phase.INCONCLUSIVE: frozenset(),
}


class Outcome(StrEnum):
    """What the judge says of the evidence so far."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    CONTINUE = "continue"
    INCONCLUSIVE = "inconclusive"
    NO_DATA = "no_data"


class Guardrail(msgspec.Struct, frozen=True):
    """A metric that may not get worse; ``alpha`` is its share of the budget for false rollbacks."""

    kind: Literal["errors", "quality", "shadow_errors", "shadow_quality"]
    alpha: float


class Gate(msgspec.Struct, frozen=True):
    """What the evidence must exclude before traffic moves on: a margin for each guardrail.

    ``error_odds`` or ``error_points`` (either is enough: their e-values are averaged) and
    ``quality_points`` in points of the loss (0.02 is two points of accuracy). None asks nothing.
    """

    error_odds: float | None = None
    error_points: float | None = None
    quality_points: float | None = None


class Step(msgspec.Struct, frozen=True):
    """A traffic share (or a mirror) and its exit criteria. Times in seconds.

    ``min_requests`` are requests (pairs in a mirror step) that this very step must add.
    """

    share: float
    mirror: float
    gate: Gate
    min_requests: int
    min_seconds: float
    max_seconds: float
    approval: bool = False

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


class Plan(msgspec.Struct, frozen=True):
    """Everything that decides a deployment, frozen and hashed before its first request."""

    steps: tuple[Step, ...]
    guardrails: tuple[Guardrail, ...]
    quality: QualityScale
    promote_alpha: float
    unit: Literal["request", "entity"]
    salt: str
    label_window_seconds: float
    label_coverage: float
    load_seconds: float
    soak_seconds: float
    auto_promote: bool


class DeploymentSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person asks for; everything left out has a default that works.

    ``shares`` are the challenger's traffic shares before all traffic. ``labels`` says whether
    labels will come: without them quality cannot be a guardrail. Margins apply to the last step.
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
    min_requests: int = 200
    min_seconds: float = 0.0
    max_hours: float = 72.0
    label_window_seconds: float = 86_400.0
    soak_seconds: float = 600.0
    auto_promote: bool = True
    approvals: bool = False


class Deployment(msgspec.Struct, frozen=True):
    """One attempt to bring a challenger to traffic: what was asked, its plan, where it stands."""

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

    @property
    def live(self) -> bool:
        """Whether it still moves or holds traffic."""
        return self.phase in LIVE


class Assessment(msgspec.Struct, frozen=True):
    """One guardrail's evidence, as numbers a person can hold against their bounds.

    ``log_harm`` and ``log_safe`` are natural logarithms of e-values, the bounds are log(1/alpha);
    ``champion`` and ``challenger`` are estimated rates (losses in [0, 1]) and ``requests`` and
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
