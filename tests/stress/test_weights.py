"""Models of several weights: each loads in its form, and its twin answers the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from serinus.registry.packaging import packager
from serinus.serving.runtimes import artifacts
from serinus.stress import weights
from serinus.stress.weights import Weight


@pytest.mark.parametrize(
    ("weight", "form"), [("steps", "estimator"), ("python", "estimator"), ("process", "process")]
)
def test_weights_are_served_in_their_form_and_twins_answer_alike(
    tmp_path: Path, weight: Weight, form: str
) -> None:
    targets = weights.save(tmp_path, weight)
    assert [target.version for target in targets] == [weights.FIRST, weights.TWIN]
    assert {packager.packaged(target.uri).form for target in targets} == {form}
    if form == "process":
        return
    rows = [tuple(row.values()) for row in weights.asked(3)]
    first, twin = (artifacts.load(weight, target).answer(rows) for target in targets)
    assert first == twin
    assert not any(isinstance(outcome, str) for outcome in first)


def test_weights_ask_for_no_row_twice() -> None:
    rows = weights.asked(64)
    assert len({tuple(row.values()) for row in rows}) == 64
    assert set(rows[0]) == set(weights.NAMES)
