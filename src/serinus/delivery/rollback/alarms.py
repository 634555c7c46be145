"""Champions that leave their own range, long after any deployment: who should be taken back. Pure.

Of each champion the last ten minutes are held against its own earlier range, by bets on several
beginnings of the harm. Here time has no end, so the bound is high: e-values of ten million, one
false alarm of a champion in years of looks every ten seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log

from serinus.delivery.rollback import bands, counts
from serinus.delivery.rollback.bands import Band, in_words
from serinus.delivery.rollback.counts import BUCKET_SECONDS, Counts
from serinus.delivery.rollback.types import Cause

BOUND = log(1e7)
KEPT = bands.MOST_STRETCHES
"""Stretches of ten seconds that may belong to a harm which is found."""

# Another mix of answers alone is drift, which monitoring tells of; nobody has failed.
_CAUSES: dict[str, Cause] = {
    "errors": "errors",
    "latency": "latency",
    "quality": "quality",
    "business": "business",
}


@dataclass(frozen=True)
class Alarm:
    """What is harmed, since when (seconds since 1970) at the latest, and what says so."""

    cause: Cause
    since: int
    sentence: str


@dataclass
class Sentry:
    """What is known of one champion.

    Attributes:
        version: that it is.
        bands: its earlier range.
        ranged_at: until when that range was taken, in seconds since 1970.
        recent: what it showed since, by the start of the stretch; at most :data:`KEPT` of them.
    """

    version: str
    bands: Sequence[Band]
    ranged_at: int
    recent: dict[int, Counts] = field(default_factory=dict)

    def see(self, start: int, stretch: Counts) -> None:
        """Take a stretch in, or what has become of one that was seen before."""
        self.recent[start] = stretch
        for old in sorted(self.recent)[:-KEPT]:
            del self.recent[old]

    def alarm(self) -> Alarm | None:
        """The clearest harm, if any is proven."""
        starts = sorted(self.recent)
        recent = [self.recent[start] for start in starts]
        worst: tuple[float, Band, int] | None = None
        for band in self.bands:
            if band.signal not in _CAUSES:
                continue
            found, length = bands.breach(band, recent)
            if found >= BOUND + log(len(self.bands)) and (worst is None or found > worst[0]):
                worst = (found, band, length)
        if worst is None:
            return None
        found, band, length = worst
        seen = bands.measure(band, counts.total(recent[-length:]))
        return Alarm(
            _CAUSES[band.signal],
            starts[-length],
            f"{band.name} of {self.version} has left its earlier range: "
            f"{in_words(band, seen.rate)} among {seen.number:,.0f} in the last "
            f"{length * BUCKET_SECONDS} s, where {in_words(band, band.earlier)} was usual.",
        )
