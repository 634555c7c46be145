"""What a plan asks as an experiment."""

from __future__ import annotations

import pytest
from tests.delivery.samples import deployment

from serinus.delivery.experiments import design
from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import InvalidInput


def test_design_is_the_plans() -> None:
    spec = DeploymentSpec(
        model="fraud",
        challenger="1.1.0",
        strategy="ab_test",
        others=("1.2.0",),
        metric="latency",
        min_requests=900,
        min_hours=2.0,
        covariate="amount",
    )
    found = design.of(deployment(spec))
    assert found.versions == ("1.0.0", "1.1.0", "1.2.0")
    assert found.shares == pytest.approx((1 / 3, 1 / 3))
    assert (found.units, found.least_seconds, found.covariate) == (900, 7_200.0, "amount")


def test_collecting_is_the_live_step_of_an_experiment() -> None:
    trial = deployment(DeploymentSpec(model="fraud", challenger="1.1.0", strategy="ab_test"))
    assert design.is_collecting(trial)
    assert not design.is_collecting(deployment())
    assert not design.is_collecting(
        deployment(
            DeploymentSpec(model="fraud", challenger="1.1.0", strategy="ab_test"),
            phase=Phase.SOAKING,
        )
    )


def test_canary_has_no_design() -> None:
    with pytest.raises(InvalidInput, match="canary"):
        design.of(deployment())
