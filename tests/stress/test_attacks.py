from __future__ import annotations

from collections import Counter

from serinus.stress import attacks
from serinus.stress.attacks import make


def test_attacks_follow_from_seed_and_number() -> None:
    assert [make(3, number) for number in range(200)] == [make(3, number) for number in range(200)]
    assert make(3, 1) != make(4, 1)


def test_attacks_are_of_every_kind() -> None:
    names = Counter(make(0, number).name.split(":")[0] for number in range(800))
    assert len(names) == len(attacks.KINDS) + 1
    assert names["mutated request"] == 400


def test_attacks_that_must_be_refused_never_allow_success_or_failure_of_the_server() -> None:
    for number in range(800):
        attack = make(1, number)
        assert attack.statuses
        assert max(attack.statuses) < 500, attack.name
