from __future__ import annotations

import numpy as np
import pytest

from serinus.proof import entities
from serinus.proof.runner import Runner


def test_visits_follow_zipf():
    found = np.bincount(entities.visits(np.random.default_rng(1), 200_000), minlength=1_000)
    assert len(found) == entities.ENTITIES
    assert found[0] / found[9] == pytest.approx(10, rel=0.1)


def test_first_failures_are_one_an_entity():
    entity = np.array([0, 1, 0, 0, 2, 1])
    failed = np.array([False, True, True, True, False, True])
    assert entities.first_failures(entity, failed).tolist() == [-1, 1, 1, -1, -1, -1]


def test_claim_names_what_counting_requests_does():
    with Runner(1, processes=0) as runner:
        found = entities.prove(runner, 20)
    ours = [bar for bar in found.bars if bar.whose == "Serinus"]
    assert len(ours) == len(entities.SPLITS)
    assert all(bar.figure <= 0.1 for bar in ours)
    theirs = next(bar for bar in found.bars if bar.whose == entities.BY_REQUEST)
    assert (theirs.limit, theirs.relation) == (0.08, ">=")
