from __future__ import annotations

import itertools

import pytest

from serinus.errors import Conflict
from serinus.registry import stages
from serinus.registry.types import GateResult, Stage

ALLOWED = {
    (Stage.NONE, Stage.STAGING),
    (Stage.NONE, Stage.ARCHIVED),
    (Stage.STAGING, Stage.PRODUCTION),
    (Stage.STAGING, Stage.ARCHIVED),
    (Stage.PRODUCTION, Stage.ARCHIVED),
    (Stage.ARCHIVED, Stage.STAGING),
    (Stage.ARCHIVED, Stage.PRODUCTION),
}


@pytest.mark.parametrize(("stage", "to"), list(itertools.product(Stage, Stage)))
def test_check_walks_every_pair(stage: Stage, to: Stage) -> None:
    if (stage, to) in ALLOWED:
        stages.check("m", "1.0.0", stage, to, ())
    else:
        with pytest.raises(Conflict, match=f"cannot move to {to}") as caught:
            stages.check("m", "1.0.0", stage, to, ())
        assert caught.value.where == "m 1.0.0"
        assert all(follower in caught.value.remedy for follower in stages.TRANSITIONS[stage])


@pytest.mark.parametrize(("stage", "to"), sorted(ALLOWED), ids=str)
def test_check_failed_gate_keeps_from_traffic_only(stage: Stage, to: Stage) -> None:
    failed = (GateResult("threshold roc_auc", False, "0.5, at least 0.6 is asked"),)

    if to is Stage.ARCHIVED:
        stages.check("m", "1.0.0", stage, to, failed)
    else:
        with pytest.raises(Conflict) as caught:
            stages.check("m", "1.0.0", stage, to, failed)
        assert caught.value.faults == ("threshold roc_auc: 0.5, at least 0.6 is asked",)


def test_transitions_every_stage_can_be_left() -> None:
    assert all(stages.TRANSITIONS[stage] for stage in Stage)
