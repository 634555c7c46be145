"""The finding fails where a run differs, and where a return takes too long."""

from __future__ import annotations

from dataclasses import replace

from serinus.chaos import rollout
from serinus.chaos.exact import Outcome
from serinus.chaos.living import Life
from serinus.chaos.types import Note

CALM = Outcome("x", 9, 5, [], [], exact=True, phase="succeeded", batches=3, seconds=1.0)


def kept(outcome: Outcome) -> bool:
    return all(bar.passed for bar in rollout._exact_bars([outcome]))


def test_every_fault_of_a_run_breaks_a_bar() -> None:
    assert kept(CALM)
    assert not kept(replace(CALM, differences=["digest"]))
    assert not kept(replace(CALM, faults=["step 2 follows step 0"]))
    assert not kept(replace(CALM, exact=False))
    assert not kept(replace(CALM, kills=0))


def test_a_return_that_takes_too_long_breaks_the_bar() -> None:
    def bars(back: float) -> dict[str, bool]:
        notes = [Note("struck", 0.0, 1, "a"), Note("began", 0.4, 2), Note("resumed", back, 2)]
        found = rollout._live_bars(Life(notes=notes), 1)
        return {bar.name: bar.passed for bar in found}

    assert bars(2.9)[rollout.RESUME]
    assert not bars(3.1)[rollout.RESUME]
