from __future__ import annotations

from pathlib import Path

import pytest

from serinus.serving.runtimes import artifacts
from serinus.stress import versions


def test_versions_answer_with_their_own_level(tmp_path: Path) -> None:
    rows = [(0.5, -1.0, 2.0, 0.0), (1e308, 1e308, -1e308, 1e308)]
    for number in (0, 3):
        target = versions.save(tmp_path, number)
        assert versions.number_of(target.version) == number
        runtime = artifacts.load(versions.MODEL, target)
        for row, outcome in zip(rows, runtime.answer(rows), strict=True):
            assert not isinstance(outcome, str), outcome
            assert outcome.value == pytest.approx(versions.expected(number, row), rel=1e-9)


def test_mixed_version_takes_what_is_missing_or_unknown(tmp_path: Path) -> None:
    runtime = artifacts.load(versions.MIXED, versions.save_mixed(tmp_path))
    rows = [(0.5, 3, True, "Ulm"), (1.0, None, None, "nowhere"), (-1e308, 2**63 - 1, False, "")]
    outcomes = runtime.answer(rows)
    assert all(not isinstance(outcome, str) for outcome in outcomes), outcomes
