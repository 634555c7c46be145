"""``serinus chaos rollback``: what was taken back was to blame, or it was not, and that is told.

A challenger turns bad amid its rollout, or a feed breaks that both versions need and a person takes
back what is newest. Which of the two it was must be found from the signs of life alone.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias, get_args

from sqlalchemy import select

from serinus import clock
from serinus.chaos import scene
from serinus.chaos.databases import Files
from serinus.chaos.lockstep import Control, Lockstep
from serinus.chaos.scene import Scene
from serinus.chaos.script import CHALLENGER, MODEL, Behaviour, Script
from serinus.chaos.types import Orders
from serinus.client import Serinus
from serinus.errors import Unavailable
from serinus.ledger.opening import open_reader
from serinus.processes import ports
from serinus.store import schema
from serinus.store.engine import reading
from serinus.stress.types import Finding, at_least, at_most
from serinus.wire import Arm, Failure, Prediction

STATEMENT = (
    "After a rollback it is found whether the version was to blame: `verified` where it was, "
    "`not_the_model` where the harm goes on without it."
)
WRONG = "causes that were not found"
RUNS = "incidents"

Cause: TypeAlias = Literal["model", "upstream"]
Harm: TypeAlias = Literal["errors", "latency", "answers"]

_RIGHT: dict[Cause, str] = {"model": "verified", "upstream": "not_the_model"}
_HOST = "127.0.0.1"
# Traffic before anything happens: the earlier range that the signs of life must come back to.
_BEFORE = 12
# Batches of the rollout before the feed breaks.
_ROLLOUT = 3
_MOST_BATCHES = 60
# The verification looks about once a second of real time.
_LOOK_SECONDS = 0.3
_SPEC = {
    "shares": [0.2, 0.5],
    "shadow": False,
    "min_requests": 300,
    "label_window_seconds": 30 * 86_400.0,
}


@dataclass(frozen=True)
class Incident:
    """One seed's: what was harmed, what was found, and what it cost.

    Attributes:
        harm: what was harmed.
        state: in which the rollback ended.
        said: why, in words.
        harmed: requests that a bad version answered before the rollback.
        seconds: of the script's time from the rollback to its end.
    """

    harm: Harm
    state: str
    said: str
    harmed: int
    seconds: float


def run(
    *,
    causes: Sequence[Cause] = ("model", "upstream"),
    seeds: int = 100,
    seed: int = 0,
    progress: Callable[[str], None] = lambda words: None,
) -> Finding:
    """So many incidents of each cause; each of errors, latency and answers in turn.

    Args:
        causes: which.
        seeds: incidents of each.
        seed: of the first.
        progress: is told what was found.

    Raises:
        Unavailable: a rollback came to no end.
    """
    started = clock.monotonic()
    found: dict[Cause, list[Incident]] = {cause: [] for cause in causes}
    faults = []
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder:
        start = scene.prepare(Path(folder) / "start", Files(), Script("", {}), begun=False)
        for cause in causes:
            for number in range(seed, seed + seeds):
                place = start.copy(start.home.with_name(f"{cause}{number}"))
                incident = _suffer(place, cause, number)
                found[cause].append(incident)
                if incident.state != _RIGHT[cause]:
                    what = f"{cause}, seed {number}, {incident.harm}"
                    faults.append(f"{what}: {incident.state}, {incident.said}")
            progress(f"{cause}: {Counter(one.state for one in found[cause])}")
    return Finding(
        name="rollback",
        statement=STATEMENT,
        bars=(
            *(
                at_most(
                    f"{WRONG}: {cause}", sum(one.state != _RIGHT[cause] for one in incidents), 0
                )
                for cause, incidents in found.items()
            ),
            at_least(RUNS, sum(map(len, found.values())), seeds * len(causes)),
        ),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={f"{cause}": _notes(incidents) for cause, incidents in found.items()},
        faults=tuple(faults),
    )


def script_of(cause: Cause, harm: Harm, seed: int) -> Script:
    """The traffic of one incident."""
    chance = random.Random(f"{cause} {seed}")
    bad = {
        "errors": Behaviour(failing=chance.uniform(0.15, 0.6)),
        "latency": Behaviour(latency_us=900.0 * chance.uniform(3.0, 8.0)),
        "answers": Behaviour(wrong=chance.uniform(0.4, 0.9)),
    }[harm]
    spec = {**_SPEC, "approvals": cause == "upstream"}
    if cause == "model":
        return Script("model", spec, bad=bad, bad_from=0.5, seed=seed, requests=600)
    return Script(
        "upstream", spec, upstream=bad, upstream_from=_BEFORE + _ROLLOUT, seed=seed, requests=600
    )


@dataclass
class _Story:
    """One incident as it goes on: when the deployment begins, and when somebody takes it back."""

    script: Script
    port: int
    cause: Cause
    state: str = ""
    said: str = ""
    seconds: float = 0.0

    def between(self, run: Lockstep) -> None:
        """Before a batch: begin, take back, or look whether the rollback has ended."""
        if run.batches == _BEFORE:
            with self._client() as client:
                run.deployment = client.deploy(MODEL, CHALLENGER, **self.script.spec).id
        broken = self.script.upstream_from
        if broken is not None and run.batches == broken + 1:
            with self._client() as client:
                client.rollback(MODEL, reason="answers are harmed")

    def goes_on(self, run: Lockstep) -> bool:
        """Whether the incident is still open; a rollback may need a moment of real time."""
        if run.batches <= _BEFORE:
            return True
        if run.batches > _MOST_BATCHES:
            raise Unavailable("a rollback came to no end", where=run.deployment)
        clock.sleep(_LOOK_SECONDS)
        table = schema.rollbacks
        with reading(run.engine) as connection:
            row = connection.execute(select(table)).mappings().first()
        if row is None or row["ended_at"] is None:
            return True
        self.state = str(row["state"])
        self.said = str(row["reason"])
        self.seconds = (row["ended_at"] - row["started_at"]).total_seconds()
        return False

    def _client(self) -> Serinus:
        return Serinus(f"http://{_HOST}:{self.port}", "", actor="chaos")


def _suffer(place: Scene, cause: Cause, seed: int) -> Incident:
    harms: tuple[Harm, ...] = get_args(Harm)
    harm = harms[seed % len(harms)]
    script, home, port = script_of(cause, harm, seed), place.home, ports.free(_HOST)
    orders = Orders(
        record=str(home / "record"), moment=str(home / "moment"), passes=str(home / "passes")
    )
    one = Control(home, place.address, orders, port=port)
    story = _Story(script, port, cause)
    with Lockstep(place, script, [one], moment=home / "moment") as run:
        run.run(story.between, goes_on=story.goes_on)
    return Incident(harm, story.state, story.said, _harmed(home, script), story.seconds)


def _harmed(home: Path, script: Script) -> int:
    """Requests that met a bad version while a challenger had a share."""
    reader = open_reader(home / "ledger")
    harmed = 0
    for _, event in reader.scan(MODEL):
        if isinstance(event, Prediction | Failure):
            given = event.assignment
            harmed += given.arm is Arm.CHALLENGER and (
                script.bad_from is not None and given.share >= script.bad_from
            )
    reader.close()
    return harmed


def _notes(incidents: Sequence[Incident]) -> dict[str, float]:
    states = Counter(one.state for one in incidents)
    return {
        **{state: float(number) for state, number in states.items()},
        "median requests harmed": median(one.harmed for one in incidents),
        "median seconds to the finding": median(one.seconds for one in incidents),
    }
