"""``serinus chaos clock``: the controller's clock jumps by hours, and nothing is decided by it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from serinus import clock
from serinus.chaos import course, exact, scene
from serinus.chaos.databases import Files
from serinus.chaos.lockstep import Lockstep, Ran, perform
from serinus.chaos.scene import Scene
from serinus.chaos.script import Script
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "Whatever the controller's clock says, a version is promoted on evidence alone and taken back "
    "on evidence at once; a clock far ahead can end a step undecided, and nothing else."
)
DIFFERENCES = "runs that differ from the one with a right clock"
IMPOSSIBLE = "moves that cannot be"
UNEXACT = "replays that are not exact"
PROMOTED = "promotions by a clock beyond every time-out"
LOST = "rollbacks that such a clock kept away"
JUMPS = "jumps"
_HOUR_US = 3_600_000_000
# Well within the days that a step may take, so that no time-out is due.
_MOST_HOURS = 12
_BEYOND_HOURS = 24 * 30


def run(
    *, seeds: int = 5, seed: int = 0, progress: Callable[[str], None] = lambda words: None
) -> Finding:
    """Run both scripts with a right clock, one that jumps, and one that is a month ahead.

    Args:
        seeds: how many runs with jumps of each script.
        seed: of the first.
        progress: is told what was done.
    """
    started = clock.monotonic()
    jumping, beyond, faults = [], [], []
    jumps = 0
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder:
        for number, script in enumerate(_scripts(seed)):
            start = scene.prepare(Path(folder) / f"clock{number}", Files(), script)
            calm = perform(_copy(start, "calm"), script)
            for turn in range(seeds):
                leaps = _Leaps(random.Random(f"{seed} {turn}"))
                rough = perform(_copy(start, f"rough{turn}"), script, between=leaps.leap)
                found = course.differences(calm.course, rough.course)
                faults += [f"{script.name}, turn {turn}: {fault}" for fault in found]
                jumping.append((rough, found))
                jumps += leaps.made
            progress(f"{script.name}: {calm.course.phase} with any clock")
            beyond.append((calm, perform(_copy(start, "beyond"), script, between=_ahead)))
    everything = [run for run, _ in jumping] + [run for _, run in beyond]
    return Finding(
        name="clock",
        statement=STATEMENT,
        bars=(
            at_most(DIFFERENCES, sum(bool(found) for _, found in jumping), 0),
            at_most(IMPOSSIBLE, sum(len(run.faults) for run in everything), 0),
            at_most(UNEXACT, sum(not run.exact for run in everything), 0),
            at_most(PROMOTED, sum(_promoted(calm, run) for calm, run in beyond), 0),
            at_most(LOST, sum(_lost(calm, run) for calm, run in beyond), 0),
            at_least(JUMPS, jumps, 1),
        ),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={"beyond": {run.course.phase: 1.0 for _, run in beyond}},
        faults=(*faults, *(fault for run in everything for fault in run.faults)),
    )


class _Leaps:
    """Sets the controller's clock to another wrong time before each batch."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.made = 0

    def leap(self, run: Lockstep) -> None:
        run.shift_us = self._chance.randint(-_MOST_HOURS, _MOST_HOURS) * _HOUR_US
        self.made += 1


def _ahead(run: Lockstep) -> None:
    """From the second batch on, when evidence has begun and decides nothing yet, a month ahead."""
    run.shift_us = _BEYOND_HOURS * _HOUR_US if run.batches else 0


def _scripts(seed: int) -> list[Script]:
    # A soak is a length of time by its nature: what a clock does to it is no fault.
    spec = {"soak_seconds": 0.0, "label_window_seconds": 365 * 86_400.0}
    return [replace(script, spec={**script.spec, **spec}) for script in exact.scripts(seed)]


def _copy(start: Scene, name: str) -> Scene:
    return start.copy(start.home.with_name(f"{start.home.name}_{name}"))


def _promoted(calm: Ran, run: Ran) -> bool:
    """Whether a version went on that by a right clock would not have, or on other evidence."""
    on = [move for move in run.course.moves if move[1] in ("running", "soaking")]
    return any(move not in calm.course.moves for move in on)


def _lost(calm: Ran, run: Ran) -> bool:
    ended_safely = run.course.phase in ("rolled_back", "inconclusive")
    return calm.course.phase == "rolled_back" and not ended_safely
