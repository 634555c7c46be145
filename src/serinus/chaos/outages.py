"""``serinus chaos database``: PostgreSQL goes away in every way that it can, and comes back."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias, get_args

from sqlalchemy.engine import make_url

from serinus import clock
from serinus.chaos import course, databases, exact, scene
from serinus.chaos.databases import Server
from serinus.chaos.lockstep import Lockstep, Ran, perform
from serinus.chaos.proxy import HOST, Proxy
from serinus.chaos.scene import Scene
from serinus.demo import rows
from serinus.demo.installation import Installation
from serinus.demo.traffic import Tally, Traffic
from serinus.proof.types import Bar
from serinus.stress import kill, strikes
from serinus.stress.kill import MODEL
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "While the database is away predictions go on, and when it is back the control plane is at "
    "work again within three seconds, with the verdict and the evidence of an undisturbed run."
)
DIFFERENCES = "runs that differ from the undisturbed one"
IMPOSSIBLE = "moves that cannot be"
UNEXACT = "replays that are not exact"
DROPPED = "requests dropped"
SLOWEST = "slowest return to work after the database was back"
OUTAGES = "outages"
BACK_SECONDS = 3.0

Outage: TypeAlias = Literal["restart", "disconnect", "cut", "stall"]
"""``restart`` ends the server as a power cut does and starts it again, ``disconnect`` ends its
connections, ``cut`` breaks the network and refuses, ``stall`` lets nothing through."""

_LONGEST_SECONDS = 2.0
_LIVE_SETTINGS = 'database_url = "{address}"\n'
_LABEL_DELAY = 0.3
_PATIENCE_SECONDS = 60.0


@dataclass
class _Trouble:
    """Makes outages, and measures how long the return takes."""

    server: Server
    proxy: Proxy
    chance: random.Random
    made: dict[str, float] = field(default_factory=dict)
    back_at: float = 0.0
    returns: list[float] = field(default_factory=list)

    def make(self) -> None:
        """One outage, over when this returns."""
        outage: Outage = self.chance.choice(get_args(Outage))
        self.made[outage] = self.made.get(outage, 0.0) + 1
        pause = self.chance.uniform(0.2, _LONGEST_SECONDS)
        if outage == "disconnect":
            self.server.disconnect()
        elif outage == "restart":
            self.server.stop()
            clock.sleep(pause)
            self.server.start()
        else:
            (self.proxy.cut if outage == "cut" else self.proxy.stall)()
            clock.sleep(pause)
            self.proxy.heal()
        self.back_at = clock.monotonic()

    def between(self, run: Lockstep) -> None:
        """Before a batch: note how long the last return took, and break something.

        The batch is decided behind the outage: until then nothing could be.
        """
        if self.back_at:
            self.returns.append(clock.monotonic() - self.back_at)
        run.engine.dispose()
        self.make()


def run(
    *,
    seeds: int = 2,
    outages: int = 8,
    rate: float = 200.0,
    seed: int = 0,
    progress: Callable[[str], None] = lambda words: None,
) -> Finding:
    """Each script in lock-step with an outage before each batch, then a live installation.

    Args:
        seeds: disturbed runs of each script.
        outages: of the live installation; 0 leaves it out.
        rate: its requests a second.
        seed: of what fails when.
        progress: is told what was done.

    Raises:
        Unavailable: there is no PostgreSQL here, or something did not start.
    """
    started = clock.monotonic()
    runs: list[_Run] = []
    with (
        tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder,
        databases.postgresql() as server,
        Proxy(server.socket) as proxy,
    ):
        for number, script in enumerate(exact.scripts(seed)):
            start = scene.prepare(Path(folder) / f"database{number}", server, script)
            calm = perform(_copy(start, "calm"), script)
            for turn in range(seeds):
                trouble = _Trouble(server, proxy, random.Random(f"{seed} {turn}"))
                place = _copy(start, f"rough{turn}")
                address = through(proxy, place.address)
                rough = perform(place, script, address=address, between=trouble.between)
                told = course.differences(calm.course, rough.course)
                runs.append(_Run(f"{script.name}, turn {turn}", trouble, rough, told))
                progress(f"{runs[-1].name}: {len(trouble.returns)} returns")
        alive = _Trouble(server, proxy, random.Random(f"{seed} live"))
        tally = _live(Path(folder) / "live", alive, outages, rate) if outages else None
    troubles = [*(one.trouble for one in runs), alive]
    return Finding(
        name="database",
        statement=STATEMENT,
        bars=_bars(runs, troubles, tally, outages),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={
            "outages": {
                kind: sum(one.made.get(kind, 0.0) for one in troubles) for kind in get_args(Outage)
            }
        },
        faults=tuple(
            f"{one.name}: {fault}" for one in runs for fault in one.differences + one.ran.faults
        ),
    )


@dataclass(frozen=True)
class _Run:
    """One disturbed run, and in what it differs from the undisturbed one."""

    name: str
    trouble: _Trouble
    ran: Ran
    differences: list[str]


def _bars(
    runs: list[_Run], troubles: list[_Trouble], tally: Tally | None, outages: int
) -> tuple[Bar, ...]:
    returns = [seconds for one in troubles for seconds in one.returns]
    bars = [
        at_most(DIFFERENCES, sum(bool(one.differences) for one in runs), 0),
        at_most(IMPOSSIBLE, sum(len(one.ran.faults) for one in runs), 0),
        at_most(UNEXACT, sum(not one.ran.exact for one in runs), 0),
        at_most(SLOWEST, max(returns, default=0.0), BACK_SECONDS, "s"),
        at_most("the median of it", median(returns or [0.0]), None, "s"),
        at_least(OUTAGES, sum(sum(one.made.values()) for one in troubles), outages + len(runs)),
    ]
    if tally is not None:
        bars.append(at_most(DROPPED, tally.dropped, 0))
        bars.append(at_least("requests answered", len(tally.acknowledged), 1))
    return tuple(bars)


def _copy(start: Scene, name: str) -> Scene:
    return start.copy(start.home.with_name(f"{start.home.name}_{name}"))


def through(proxy: Proxy, address: str) -> str:
    """The address of a database by way of the proxy."""
    url = make_url(address).set(host=HOST, port=proxy.port)
    return url.difference_update_query(["host"]).render_as_string(hide_password=False)


def _live(home: Path, trouble: _Trouble, outages: int, rate: float) -> Tally:
    """Traffic at a whole installation while its database comes and goes."""
    home.mkdir()
    address = through(trouble.proxy, trouble.server.address(home))
    dealt = rows.prepare(None, None)
    with (
        kill.running(home, dealt, _LIVE_SETTINGS.format(address=address)) as system,
        _flowing(system, dealt, rate) as traffic,
    ):
        for _ in range(outages):
            trouble.make()
            kill.until(lambda: strikes.answers(system), "the control plane")
            trouble.returns.append(clock.monotonic() - trouble.back_at)
            clock.sleep(trouble.chance.uniform(0.2, 1.0))
    return traffic.tally


@contextmanager
def _flowing(system: Installation, dealt: rows.Rows, rate: float) -> Iterator[Traffic]:
    traffic = Traffic(system.gateway_url, MODEL, dealt.live, rate=rate, label_delay=_LABEL_DELAY)
    traffic.start()
    try:
        yield traffic
    finally:
        traffic.stop()
