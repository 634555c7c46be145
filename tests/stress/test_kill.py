"""The proof of kills in small."""

from __future__ import annotations

import pytest

from serinus.stress import kill

pytestmark = pytest.mark.timeout(300)


def test_nothing_acknowledged_is_lost_or_counted_twice() -> None:
    # This seed strikes a gateway worker, the control plane and the gateway.
    found = kill.run(kills=3, rate=100, pause=(0.5, 2.0), seed=1)
    for bar in found.bars:
        assert bar.passed, (found.bars, found.notes, found.faults)
    assert {part for part, times in found.notes["kills"].items() if times} == {
        "gateway worker",
        "gateway",
        "control",
    }
