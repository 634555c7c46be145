"""The few things that values of delivery can say of themselves."""

from __future__ import annotations

import pytest
from tests.delivery.samples import deployment

from serinus.delivery.forecast.types import Traffic
from serinus.delivery.types import LIVE, TRANSITIONS, Phase


def test_every_phase_has_transitions_and_ends_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(Phase)
    assert {phase for phase, following in TRANSITIONS.items() if following} == LIVE


def test_plan_has_the_guardrails_that_it_lists() -> None:
    plan = deployment().plan
    assert plan.has("errors")
    assert plan.has("business", "errors")
    assert not plan.has("business")


def test_traffic_by_the_hour() -> None:
    assert Traffic(requests=2_880, seconds=86_400.0).per_hour == pytest.approx(120.0)
