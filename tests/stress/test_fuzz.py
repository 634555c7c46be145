"""Hostile clients in small, and that the proof would see harm."""

from __future__ import annotations

import pytest

from serinus.stress import attacks, fuzz

pytestmark = pytest.mark.timeout(180)


def test_hostile_clients_do_no_harm() -> None:
    found = fuzz.run(attempts=400)
    told = {bar.name: bar.figure for bar in found.bars}
    # How fast others are answered depends on what else this machine does.
    slow = {bar.name for bar in found.bars if not bar.passed} - {fuzz.SLOW}
    assert slow == set(), (told, found.faults)
    assert found.notes["answers by status"].keys() >= {"200", "400", "404", "405", "413", "422"}


def test_one_attack_can_be_made_again_by_itself() -> None:
    found = fuzz.run(seed=5, only=7)
    assert found.figure("attacks") == 1
    assert found.passed, found.faults


def test_an_attack_that_is_taken_badly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # No gateway answers a good request with a 4xx: so this one is a fault, told with its number.
    right = attacks.make(0, 0)
    wrong = attacks.Attack("wrong", right.parts, attacks.BAD, 1)
    monkeypatch.setattr(attacks, "make", lambda seed, number: wrong)
    found = fuzz.run(seed=0, only=3)
    assert not found.passed
    assert "attack 3 (wrong): answered 200" in found.faults[0]
    assert "--seed 0 --only 3" in found.faults[0]
