"""The proof of kills in small."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from serinus.stress import kill

pytestmark = pytest.mark.timeout(300)


def test_nothing_acknowledged_is_lost_or_counted_twice() -> None:
    # This seed strikes a gateway worker, the control plane and the gateway.
    found = kill.run(kills=3, rate=100, pause=(0.5, 2.0), seed=1)
    for bar in found.bars:
        assert bar.passed, (found.bars, found.notes, found.faults)
    limits = {bar.name: bar.limit for bar in found.bars}
    assert limits[kill.KILLS] == 3
    assert found.notes["deployments"]["ended"] >= 2
    assert {part for part, times in found.notes["kills"].items() if times} == {
        "gateway worker",
        "gateway",
        "control",
    }


def test_requests_that_an_ended_deployment_did_not_count_are_lacking() -> None:
    def status(id: str, *, live: bool) -> Any:
        counts = SimpleNamespace(requests={"champion": 5, "challenger": 2})
        return SimpleNamespace(deployment=SimpleNamespace(id=id, live=live), counts=counts)

    both = [status("a", live=True), status("b", live=False)]
    due = {"a": {"champion": 6}, "b": {"champion": 5, "challenger": 4}}
    assert kill._lacking(both, due) == 1
    assert kill._lacking(both, due, ended=True) == 3
