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
from serinus.chaos import scene, ward
from serinus.chaos.databases import Files
from serinus.chaos.ward import Cause, Found, Incident
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "After a rollback it is found whether the version was to blame: `verified` where it was, "
    "`not_the_model` where the harm goes on without it."
)
WRONG = "causes that were not found"
RUNS = "incidents"

# So many at once in one installation, and so many installations side by side: one writes its
# traffic while the other decides.
_AT_ONCE = 25
_WARDS = 2


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
        Unavailable: something did not start, or a batch was not decided in time.
    """
    started = clock.monotonic()
    incidents = [
        Incident(cause, number) for number in range(seed, seed + seeds) for cause in causes
    ]
    found: list[Found] = []
    for told in _wards(incidents):
        found += told
        states = Counter(f"{one.incident.cause}: {one.state or 'no end'}" for one in found)
        progress(", ".join(f"{number} {state}" for state, number in sorted(states.items())))
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
        ),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={cause: _notes(those) for cause, those in by_cause.items()},
        faults=tuple(one.told() for one in found if not one.right),
    )


def _wards(incidents: Sequence[Incident]) -> Iterator[list[Found]]:
    """All incidents, as many at once as one installation takes; in order."""
    called_off = threading.Event()
    lots = [incidents[first : first + _AT_ONCE] for first in range(0, len(incidents), _AT_ONCE)]
    with (
        tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder,
        ThreadPoolExecutor(_WARDS) as pool,
    ):

        def suffer(number: int) -> list[Found]:
            models = [incident.model for incident in lots[number]]
            place = scene.prepare(Path(folder) / f"ward{number}", Files(), None, models=models)
            return ward.suffer(place, lots[number], called_off.is_set)

        try:
            yield from pool.map(suffer, range(len(lots)))
        finally:
            called_off.set()


def _notes(found: Sequence[Found]) -> dict[str, float]:
    states = Counter(one.state or "no end" for one in found)
    return {
        **{state: float(number) for state, number in states.items()},
        "median requests harmed": median(one.harmed for one in found),
        "median seconds to the finding": median(one.seconds for one in found),
    }
