"""An incident of each cause, whole: what was to blame is found."""

from __future__ import annotations

import pytest

from serinus.chaos import causes
from serinus.chaos.causes import Cause
from serinus.wire import Arm

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("cause", ["model", "upstream"])
def test_cause_is_found(cause: Cause) -> None:
    found = causes.run(causes=[cause], seeds=1)
    assert found.passed, (found.notes, found.faults)
    assert found.figure(causes.RUNS) == 1


def test_scripts_harm_one_version_or_both() -> None:
    model = causes.script_of("model", "errors", 1)
    assert model.behaviour(Arm.CHALLENGER, 0.5).failing > 0
    assert model.behaviour(Arm.CHALLENGER, 0.2).failing == 0
    assert model.behaviour(Arm.CHAMPION, 0.5).failing == 0
    upstream = causes.script_of("upstream", "latency", 1)
    for arm in (Arm.CHAMPION, Arm.CHALLENGER):
        assert upstream.behaviour(arm, 0.2, 1).latency_us == 900
        assert upstream.behaviour(arm, 0.2, 50).latency_us > 2_000
