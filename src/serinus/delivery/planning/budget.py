"""How much a deployment may err: the odds of a false rollback and of a wrong promotion."""

from __future__ import annotations

from serinus.delivery.types import Kind

# The budget for false rollbacks, 5 % in all: most where harm is likeliest and costs most, little
# where a breach is gross and soon found. A plan without a guardrail spends nothing on it.
BUDGET = 0.05
ALPHAS: dict[Kind, float] = {
    "errors": 0.010,
    "service_level": 0.003,
    "latency": 0.008,
    "distribution": 0.003,
    "class_mix": 0.002,
    "quality": 0.006,
    "business": 0.002,
    "sample_ratio": 0.001,
    "shadow_errors": 0.003,
    "shadow_quality": 0.010,
    "disagreement": 0.002,
}
# A wrong promotion needs every guardrail to err, so each may use all of this (no split).
PROMOTE_ALPHA = 0.025
