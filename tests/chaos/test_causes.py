"""Incidents of each cause, whole: what was to blame is found."""

from __future__ import annotations

import pytest

from serinus.chaos import causes

pytestmark = pytest.mark.timeout(300)


def test_causes_are_found_side_by_side() -> None:
    told: list[str] = []
    found = causes.run(seeds=1, live=0, progress=told.append)
    assert found.passed, (found.notes, found.faults)
    assert found.figure(causes.RUNS) == 2
    assert told == ["1 model: verified, 1 upstream: not_the_model"]
