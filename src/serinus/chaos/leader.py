"""``serinus chaos leader``: whoever leads dies or stands still, and comes back too late."""

from __future__ import annotations

import random
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from sqlalchemy import select

from serinus import clock
from serinus.chaos import course, exact, record, scene
from serinus.chaos.course import Course
from serinus.chaos.databases import Kind, opened
from serinus.chaos.lockstep import Control, Lockstep, perform
from serinus.chaos.scene import Scene
from serinus.chaos.script import Script
from serinus.chaos.types import Orders
from serinus.store import schema
from serinus.store.engine import reading
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "Of several controllers one leads; when it dies or stands still another goes on, and when it "
    "wakes up it does no harm: each move is made once, and the evidence is that of one alone."
)
DIFFERENCES = "runs that differ from that of one controller alone"
IMPOSSIBLE = "moves that cannot be, or revisions that fell"
UNEXACT = "replays that are not exact"
STUCK = "leaders that stood still on PostgreSQL and could not be replaced"
TAKEOVERS = "takeovers"
SLOWEST_DEATH = "slowest takeover from a leader that died"
SLOWEST_STAND = "slowest takeover from a leader that stood still"
LEASE_SECONDS = 1.0
# A follower looks ten times less often than a leader that is busy, and a look may just be over.
DEATH_SECONDS = 1.0
STAND_SECONDS = LEASE_SECONDS + 1.0
_CONTROLS = 3
# Within what a stopped process may stand, in seconds; it wakes up when others have gone on.
_STANDS = (0.0, 1.5)
_PATIENCE_SECONDS = 8.0
_PASSING = 16
_LOOK_SECONDS = 0.005
_SETTINGS = {"controller_lease_seconds": str(LEASE_SECONDS)}


@dataclass
class _Drill:
    """Strikes whoever leads, again and again, and wakes it up when another has gone on."""

    controls: list[Control]
    place: Scene
    chance: random.Random
    died: list[float] = field(default_factory=list)
    stood: list[float] = field(default_factory=list)
    alone: int = 0
    victim: Control | None = None
    since: float = 0.0
    token: int = 0
    wake_at: float | None = None
    seen: dict[str, int] = field(default_factory=dict)

    def arm(self, run: Lockstep) -> None:
        """Before a batch: kill who leads, or order it to stop at some point of this batch."""
        while self.victim is not None:
            self.look(run)
            clock.sleep(_LOOK_SECONDS)
        leader = run.leader
        if leader is None:
            return
        self.token = _token(run)
        if self.chance.random() < 0.5:
            leader.signal(signal.SIGKILL)
            self.victim, self.since, self.wake_at = leader, clock.monotonic(), None
            return
        Path(leader.orders.armed).touch()

    def look(self, run: Lockstep) -> None:
        """While a batch is decided: see who has stopped, who took over, and wake up who stopped."""
        if self.victim is None:
            self._find_stopped()
            return
        victim, now = self.victim, clock.monotonic()
        if self.wake_at is None:
            if _token(run) != self.token:
                (self.stood if victim.stopped else self.died).append(now - self.since)
                self.wake_at = now + self.chance.uniform(*_STANDS)
            elif now - self.since > _PATIENCE_SECONDS:
                # It stopped with the only lock that SQLite has: nobody can go on, nor do harm. On
                # PostgreSQL the server must have ended its transaction long ago.
                self.alone += 1
                self.wake_at = now
            return
        if now >= self.wake_at:
            victim.stopped = False
            victim.signal(signal.SIGCONT)
            self.victim = None

    def _find_stopped(self) -> None:
        for one in self.controls:
            armed = Path(one.orders.armed)
            struck = [line for line in record.read(one.orders.record) if line.kind == "struck"]
            if armed.exists() and len(struck) > self.seen.get(one.orders.record, 0):
                armed.unlink()
                self.seen[one.orders.record] = len(struck)
                one.stopped = True
                self.victim, self.since, self.wake_at = one, struck[-1].at, None


def run(
    *,
    kinds: Sequence[Kind],
    seeds: int = 3,
    seed: int = 0,
    progress: Callable[[str], None] = lambda words: None,
) -> Finding:
    """Run each script with one controller alone, and with three whose leader is struck.

    Args:
        kinds: of databases.
        seeds: runs of each script under each database.
        seed: of the first.
        progress: is told what was done.
    """
    started = clock.monotonic()
    runs = []
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder:
        for kind in kinds:
            with opened(kind) as database:
                for number, script in enumerate(_scripts(seed)):
                    start = scene.prepare(Path(folder) / f"{kind}{number}", database, script)
                    calm = perform(_copy(start, "calm"), script)
                    for turn in range(seeds):
                        chance = random.Random(f"{seed} {turn}")
                        made = _disturbed(_copy(start, f"rough{turn}"), script, chance)
                        made.differences = course.differences(calm.course, made.course)
                        made.name = f"{script.name}, {kind}, turn {turn}"
                        made.kind = kind
                        runs.append(made)
                        progress(made.told())
    return _finding(runs, seed=seed, seconds=clock.monotonic() - started)


def _finding(runs: Sequence[_Made], *, seed: int, seconds: float) -> Finding:
    """What all runs together found."""
    died = [seconds for one in runs for seconds in one.drill.died]
    stood = [seconds for one in runs for seconds in one.drill.stood]
    alone = Counter[Kind]()
    for one in runs:
        alone[one.kind] += one.drill.alone
    return Finding(
        name="leader",
        statement=STATEMENT,
        bars=(
            at_most(DIFFERENCES, sum(bool(one.differences) for one in runs), 0),
            at_most(IMPOSSIBLE, sum(len(one.faults) for one in runs), 0),
            at_most(UNEXACT, sum(not one.exact for one in runs), 0),
            at_most(SLOWEST_DEATH, max(died, default=0.0), DEATH_SECONDS, "s"),
            at_most(SLOWEST_STAND, max(stood, default=0.0), STAND_SECONDS, "s"),
            at_most(STUCK, alone["postgresql"], 0),
            at_least(TAKEOVERS, len(died) + len(stood), 1),
        ),
        seed=seed,
        seconds=seconds,
        notes={
            "takeovers": {
                "from the dead": len(died),
                "median seconds": median(died or [0.0]),
                "from those that stood": len(stood),
                "their median seconds": median(stood or [0.0]),
                "stood with SQLite's lock": alone["sqlite"],
            }
        },
        faults=tuple(
            f"{one.name}: {fault}" for one in runs for fault in one.differences + one.faults
        ),
    )


@dataclass
class _Made:
    """One run with its drill."""

    drill: _Drill
    course: Course
    faults: list[str]
    exact: bool
    differences: list[str] = field(default_factory=list)
    name: str = ""
    kind: Kind = "sqlite"

    def told(self) -> str:
        """In words."""
        drill = self.drill
        return f"{self.name}: {len(drill.died)} died, {len(drill.stood)} stood still"


def _copy(start: Scene, name: str) -> Scene:
    return start.copy(start.home.with_name(f"{start.home.name}_{name}"))


def _disturbed(place: Scene, script: Script, chance: random.Random) -> _Made:
    home = place.home
    controls = [
        Control(
            home,
            place.address,
            Orders(
                record=str(home / f"record{number}"),
                strike="every",
                blow="stop",
                passing=_PASSING,
                seed=chance.randrange(1 << 30),
                armed=str(home / f"armed{number}"),
                passes=str(home / f"passes{number}"),
            ),
            _SETTINGS,
        )
        for number in range(_CONTROLS)
    ]
    drill = _Drill(controls, place, chance)
    with Lockstep(place, script, controls, meddle=drill.look) as run:
        found = run.run(drill.arm)
        return _Made(drill, found, run.faults(), run.replays())


def _scripts(seed: int) -> list[Script]:
    # Real time flows here, since a lease is a length of it: nothing else may depend on it.
    return [
        replace(script, spec={**script.spec, "soak_seconds": 0.0}) for script in exact.scripts(seed)
    ]


def _token(run: Lockstep) -> int:
    with reading(run.engine) as connection:
        return int(connection.execute(select(schema.leases.c.token)).scalar() or 0)
