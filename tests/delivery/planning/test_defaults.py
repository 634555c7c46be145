from __future__ import annotations

import pytest

from serinus.delivery.planning import defaults
from serinus.errors import InvalidInput
from serinus.registry import model_types
from serinus.registry.model_types import ModelType


def test_what_is_said_stands_above_what_stands_below() -> None:
    spec = defaults.specification(
        {"model": "m", "challenger": "2", "max_hours": 1.0},
        {"max_hours": 2.0, "shares": [0.5]},
        {"max_hours": 3.0, "shares": [0.1], "soak_seconds": 9},
    )

    assert (spec.max_hours, spec.shares, spec.soak_seconds) == (1.0, (0.5,), 9.0)
    assert spec.error_odds == 2.0


def test_shipped_types_say_what_is_a_plan() -> None:
    defaults.check(model_types.load())


def test_types_that_say_no_plan_are_refused_with_every_fault() -> None:
    types = {
        "a": ModelType("regression", delivery={"colour": 1, "shares": "many", "model": "m"}),
        "b": ModelType("classification", delivery={"strategy": "ab_test", "metric": "mse"}),
        "c": ModelType("regression", delivery={"max_hours": 0.0}),
    }

    with pytest.raises(InvalidInput) as caught:
        defaults.check(types)

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "a.delivery.model", "a.delivery.colour", "a.delivery.shares", "b.delivery.metric",
        "c.delivery.max_hours",
    ]  # fmt: skip
