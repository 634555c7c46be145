"""The few things that values of delivery can say of themselves."""

from __future__ import annotations

import pytest
from tests.delivery.samples import deployment

from serinus.delivery.forecast.types import Traffic
from serinus.delivery.types import LIVE, TRANSITIONS, Phase


def test_every_phase_has_transitions_and_ends_lead_to_a_retry_at_most() -> None:
    assert set(TRANSITIONS) == set(Phase)
    ends = {phase: TRANSITIONS[phase] for phase in Phase if phase not in LIVE}
    assert ends.pop(Phase.SUCCEEDED) == frozenset()
    assert set(ends.values()) == {frozenset({Phase.PENDING})}
    assert all(TRANSITIONS[phase] for phase in LIVE)


def test_plan_has_the_guardrails_that_it_lists() -> None:
    plan = deployment().plan
    assert plan.has("errors")
    assert plan.has("business", "errors")
    assert not plan.has("business")


def test_traffic_by_the_hour() -> None:
    assert Traffic(requests=2_880, seconds=86_400.0).per_hour == pytest.approx(120.0)
