from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from serinus.stats import class_tallies
from serinus.stats.class_tallies import Tally


def test_tallies_count_what_is_true_claimed_and_both() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    found = class_tallies.tally(["a", "b", "b", "a"], scores, ["a", "b", "c"])

    assert found == [Tally("a", 4, 2, 2, 1), Tally("b", 4, 2, 2, 1), Tally("c", 4, 0, 0, 0)]


def test_tallies_come_back_from_a_profile_as_stored() -> None:
    kept = [Tally(True, 4, 1, 2, 1), Tally(3, 4, 1, 2, 1), Tally("x", 4, 1, 2, 1)]
    profile = json.loads(json.dumps({"classes": [asdict(item) for item in kept]}))

    assert class_tallies.read(profile) == tuple(kept)
    assert class_tallies.read({}) == ()
