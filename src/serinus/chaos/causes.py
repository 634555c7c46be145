"""``serinus chaos rollback``: what was taken back was to blame, or it was not, and that is told.

A challenger turns bad amid its rollout, or a feed breaks that both versions need and a person takes
back what is newest. Which of the two it was must be found from the signs of life alone.
"""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from serinus import clock
from serinus.chaos import relief, scene, ward
from serinus.chaos.databases import Files
from serinus.chaos.relief import Relief
from serinus.chaos.ward import Cause, Found, Incident
from serinus.proof.types import Bar
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "After a rollback it is found whether the version was to blame: `verified` where it was, "
    "`not_the_model` where the harm goes on without it."
)
WRONG = "causes that were not found"
RUNS = "incidents"
LIVE_WRONG = "causes that were not found, live"
LIVE_RUNS = "incidents, live"
HARM = "from the first request harmed to 0 %, median of the live ones"
PROVEN = "from sufficient evidence to 0 %, median of the live ones"
CALLED = "from a person's call to 0 %, median of the live ones"
PROVEN_MS = 1_000.0
CALLED_MS = 300.0

# So many installations side by side: one writes its traffic while the other decides.
_WARDS = 2


def run(
    *,
    causes: Sequence[Cause] = ("model", "upstream"),
    seeds: int = 100,
    live: int = 3,
    seed: int = 0,
    progress: Callable[[str], None] = lambda words: None,
) -> Finding:
    """So many incidents of each cause; each of errors, latency and answers in turn.

    Args:
        causes: which.
        seeds: scripted incidents of each.
        live: incidents of each in a whole installation under real traffic; 0 leaves it out.
        seed: of the first.
        progress: is told what was found.

    Raises:
        Unavailable: something did not start, or a batch was not decided in time.
    """
    started = clock.monotonic()
    numbers = range(seed, seed + max(seeds, live))
    incidents = [Incident(cause, number) for number in numbers for cause in causes]
    found: list[Found] = []
    for told in _wards(incidents[: seeds * len(causes)]):
        found += told
        states = Counter(f"{one.incident.cause}: {one.state or 'no end'}" for one in found)
        progress(", ".join(f"{number} {state}" for state, number in sorted(states.items())))
    lively = relief.run([one for one in incidents if one.seed < seed + live]) if live else []
    by_cause = {cause: [one for one in found if one.incident.cause == cause] for cause in causes}
    return Finding(
        name="rollback",
        statement=STATEMENT,
        bars=(
            *(
                at_most(f"{WRONG}: {cause}", sum(not one.right for one in those), 0)
                for cause, those in by_cause.items()
            ),
            at_least(RUNS, len(found), seeds * len(causes)),
            *(_live_bars(lively, live * len(causes)) if live else ()),
        ),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={
            **{cause: _notes(those) for cause, those in by_cause.items()},
            **{f"live, {one.incident}": one.figures() for one in lively},
        },
        faults=(
            *(one.told() for one in found if not one.right),
            *(one.told() for one in lively if not one.right),
        ),
    )


def _live_bars(found: Sequence[Relief], incidents: int) -> Iterator[Bar]:
    yield at_most(LIVE_WRONG, sum(not one.right for one in found), 0)
    yield at_least(LIVE_RUNS, len(found), incidents)
    yield at_most(HARM, median(one.harm_ms for one in found), None, "ms")
    for name, cause, most in ((PROVEN, "model", PROVEN_MS), (CALLED, "upstream", CALLED_MS)):
        those = [one for one in found if one.incident.cause == cause]
        if those:
            yield at_most(name, median(one.word_ms for one in those), most, "ms")
            told = f"requests harmed by a challenger, {cause}, live"
            yield at_most(told, sum(one.harmed for one in those), None)
            late = sum(one.harmed_after for one in those)
            yield at_most(f"{told}, of them after that", late, None)


def _wards(incidents: Sequence[Incident]) -> Iterator[list[Found]]:
    """All incidents, as many at once as one installation takes; in order."""
    called_off = threading.Event()
    size = len(ward.MODELS)
    lots = [incidents[first : first + size] for first in range(0, len(incidents), size)]
    with (
        tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder,
        ThreadPoolExecutor(_WARDS) as pool,
    ):
        models = ward.MODELS[: len(lots[0])] if lots else ()
        start = scene.prepare(Path(folder) / "start", Files(), None, models=models)

        def suffer(number: int) -> list[Found]:
            place = start.copy(Path(folder) / f"ward{number}")
            return ward.suffer(place, lots[number], called_off.is_set)

        try:
            yield from pool.map(suffer, range(len(lots)))
        finally:
            called_off.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _notes(found: Sequence[Found]) -> dict[str, float]:
    states = Counter(one.state or "no end" for one in found)
    return {
        **{state: float(number) for state, number in states.items()},
        "median requests harmed": median(one.harmed for one in found),
        "median seconds to the finding": median(one.seconds for one in found),
    }
