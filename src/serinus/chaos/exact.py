"""The exact half of ``serinus chaos rollout``: killed at every write, it comes to the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from serinus.chaos import course, record, scene
from serinus.chaos.databases import Kind, opened
from serinus.chaos.lockstep import perform
from serinus.chaos.scene import Scene
from serinus.chaos.script import Behaviour, Script
from serinus.chaos.types import Orders

_BASE = {
    "shares": [0.2, 0.5],
    "min_requests": 300,
    "soak_seconds": 90.0,
    "label_window_seconds": 30 * 86_400.0,
}


def scripts(seed: int) -> list[Script]:
    """What is rolled out: one version that deserves it, and one that turns bad half way."""
    return [
        Script("promoted", _BASE, requests=1_200, seed=seed),
        Script(
            "taken back",
            {**_BASE, "shadow": False, "unit": "entity"},
            requests=800,
            bad=Behaviour(failing=0.3, wrong=0.4, latency_us=2_000.0),
            bad_from=0.5,
            seed=seed + 1,
        ),
    ]


@dataclass
class Outcome:
    """One script under one database, undisturbed and disturbed.

    Attributes:
        name: of script and database.
        kills: how often it was killed.
        points: at how many different points of the code's course.
        differences: in what the disturbed run differs from the undisturbed one.
        faults: what of its history cannot be.
        exact: whether every verdict of it comes out again.
        phase: in which both ended.
        batches: of the script until then.
        seconds: of both runs together.
    """

    name: str
    kills: int
    points: int
    differences: list[str]
    faults: list[str]
    exact: bool
    phase: str
    batches: int
    seconds: float


def run(
    folder: Path, kinds: list[Kind], scripts: list[Script], *, one_in: int
) -> Iterator[Outcome]:
    """Each script under each database.

    Args:
        folder: for their homes.
        kinds: of databases.
        scripts: to be run.
        one_in: the part of all writes at which it is killed; 1 is at every one.
    """
    for kind in kinds:
        with opened(kind) as database:
            for number, script in enumerate(scripts):
                start = scene.prepare(folder / f"{kind}{number}", database, script)
                yield _compare(f"{script.name}, {kind}", start, script, one_in)


def _compare(name: str, start: Scene, script: Script, one_in: int) -> Outcome:
    calm = perform(start.copy(start.home.with_name(f"{start.home.name}_calm")), script)
    orders = Orders(record="", strike="every", one_in=one_in, seed=script.seed)
    rough = perform(start.copy(start.home.with_name(f"{start.home.name}_rough")), script, orders)
    struck = record.strikes(rough.notes)
    return Outcome(
        name=name,
        kills=len(struck),
        points=len({point.partition(": ")[2] for point in struck}),
        differences=course.differences(calm.course, rough.course),
        faults=rough.faults,
        exact=rough.exact,
        phase=rough.course.phase,
        batches=rough.batches,
        seconds=calm.seconds + rough.seconds,
    )
