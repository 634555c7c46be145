"""What a worker counts: answers and their latency by model, version and arm; refusals by status.

Counts and histograms only grow and only add, so those of several workers can be summed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

import msgspec

from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.rows import Row
from serinus.serving.telling import unusual, violations
from serinus.serving.telling.unusual import Oddity, Unusual
from serinus.serving.telling.violations import Violation, Violations
from serinus.wire import Assignment

# Upper bounds of latency in seconds; each about 1.6 times the one before.
BOUNDS = (
    0.00025, 0.0004, 0.00063, 0.001, 0.0016, 0.0025, 0.004, 0.0063, 0.01, 0.016, 0.025, 0.04,
    0.063, 0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0, 6.3, 10.0,
)  # fmt: skip


class Tally(msgspec.Struct):
    """The rows that were assigned to one arm of one model while one version held it.

    ``latency`` counts rows by BOUNDS, those slower than the last bound at its end.
    """

    model: str
    version: str
    arm: str
    success: int = 0
    fallback: int = 0
    failed: int = 0
    seconds: float = 0.0
    latency: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    @property
    def rows(self) -> int:
        """All rows, whatever became of them."""
        return self.success + self.fallback + self.failed

    def add(self, other: Tally) -> None:
        """Count what another worker counted."""
        self.success += other.success
        self.fallback += other.fallback
        self.failed += other.failed
        self.seconds += other.seconds
        self.latency = [a + b for a, b in zip(self.latency, other.latency, strict=True)]


class Counts(msgspec.Struct):
    """Everything that one worker counted since it started, fit to be written down and summed.

    ``busy`` alone is of now: the share of a core that the worker uses.
    """

    tallies: list[Tally] = []
    refused: dict[str, int] = {}
    labels: int = 0
    values: int = 0
    ledger_errors: int = 0
    unrecorded: int = 0
    mirrored: int = 0
    cloned: int = 0
    shed: int = 0
    defaults: int = 0
    busy: float = 0.0
    unusual: list[Oddity] = []
    violations: list[Violation] = []


class Counters:
    """The counts of this worker."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str], Tally] = {}
        self._last_assigned: Assignment | None = None
        self._last_live: LiveRoute | None = None
        self._last = Tally("", "", "")
        self._refused: Counter[str] = Counter()
        self.labels = 0
        self.values = 0
        self.ledger_errors = 0
        self.unrecorded = 0
        self.mirrored = 0
        self.cloned = 0
        self.shed = 0
        self.defaults = 0
        self.busy = 0.0
        self.unusual = Unusual()
        self.violations = Violations()

    def count(self, row: Row, seconds: float) -> None:
        """Count a row that was settled and recorded after ``seconds``."""
        assigned, live = row.assignment, row.live
        # Most rows were assigned as the one before, by the very same value.
        if assigned is self._last_assigned and live is self._last_live:
            tally = self._last
        else:
            tally = self._tally(row)
            self._last_assigned, self._last_live, self._last = assigned, live, tally
        if row.failure:
            tally.failed += 1
            self.defaults += row.default is not None
        elif row.fallback:
            tally.fallback += 1
        else:
            tally.success += 1
        tally.seconds += seconds
        tally.latency[bisect_left(BOUNDS, seconds)] += 1

    def _tally(self, row: Row) -> Tally:
        assigned = row.assignment
        version = row.live.lane(assigned.arm, assigned.variant).version
        key = (assigned.model, version, assigned.arm)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(assigned.model, version, str(assigned.arm))
        return tally

    def refuse(self, status: int) -> None:
        """Count a request that was answered with a problem."""
        self._refused[str(status)] += 1

    def counts(self) -> Counts:
        """A copy of everything counted so far."""
        return Counts(
            tallies=list(self._tallies.values()),
            refused=dict(self._refused),
            labels=self.labels,
            values=self.values,
            ledger_errors=self.ledger_errors,
            unrecorded=self.unrecorded,
            mirrored=self.mirrored,
            cloned=self.cloned,
            shed=self.shed,
            defaults=self.defaults,
            busy=self.busy,
            unusual=self.unusual.found(),
            violations=self.violations.found(),
        )


def total(many: Iterable[Counts]) -> Counts:
    """The sum over workers."""
    tallies: dict[tuple[str, str, str], Tally] = {}
    refused: Counter[str] = Counter()
    out = Counts()
    many = list(many)
    for counts in many:
        for tally in counts.tallies:
            key = (tally.model, tally.version, tally.arm)
            if key not in tallies:
                tallies[key] = Tally(*key)
            tallies[key].add(tally)
        refused.update(counts.refused)
        out.labels += counts.labels
        out.values += counts.values
        out.ledger_errors += counts.ledger_errors
        out.unrecorded += counts.unrecorded
        out.mirrored += counts.mirrored
        out.cloned += counts.cloned
        out.shed += counts.shed
        out.defaults += counts.defaults
        out.busy += counts.busy
    out.tallies = [tallies[key] for key in sorted(tallies)]
    out.refused = dict(sorted(refused.items()))
    out.unusual = unusual.total(one for counts in many for one in counts.unusual)
    out.violations = violations.total(one for counts in many for one in counts.violations)
    return out


def quantile(latency: list[int], level: float) -> float | None:
    """The latency in seconds that a share ``level`` of rows stayed under; None without rows.

    Straight between the bounds of the bin it falls into; rows beyond the last bound count as it.
    """
    rows = sum(latency)
    if not rows:
        return None
    wanted = level * rows
    below = 0
    for index, count in enumerate(latency[:-1]):
        if count and below + count >= wanted:
            low = BOUNDS[index - 1] if index else 0.0
            return low + (BOUNDS[index] - low) * (wanted - below) / count
        below += count
    return BOUNDS[-1]
