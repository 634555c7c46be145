"""Where the two differ: flips by the bins of each feature. Pure.

Bins are those of the champion's reference profile, several of a number's taken together; a feature
without a profile gets bins of the first values that come.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.shadows.types import Segment
from serinus.stats import bins as binning
from serinus.stats import concentration, multiplicity
from serinus.stats.bins import Bins, NumericBins
from serinus.wire import Cell

Flags: TypeAlias = NDArray[np.bool_]
Counts: TypeAlias = NDArray[np.int64]

MOST_FEATURES = 200
MOST_BINS = 8
MOST_CATEGORIES = 16
FALSE_SHARE = 0.05
"""At most this share of the proven segments is expected to be false."""
# Odds beyond are as good as certain, and JSON knows no infinity.
_MOST_LOG_ODDS = 50.0


class Segments:
    """Pairs and flips by feature and bin.

    Args:
        reference: by feature, its reference profile (``{"bins": …}``) if it has one.
    """

    def __init__(self, reference: Mapping[str, Mapping[str, Any]]) -> None:
        self._reference = reference
        self._bins: dict[str, Bins] = {}
        self._seen: dict[str, Counts] = {}
        self.pairs = 0
        self._flips = 0

    def add(self, names: Sequence[str], rows: Sequence[tuple[Cell, ...]], differs: Flags) -> None:
        """Count pairs that both answered.

        Args:
            names: of the features, in the order of the values.
            rows: the values of each pair; not empty.
            differs: shape (n,), whether the answers differ.
        """
        self.pairs += len(rows)
        self._flips += int(differs.sum())
        for name, values in itertools.islice(
            zip(names, zip(*rows, strict=True), strict=False), MOST_FEATURES
        ):
            if name not in self._bins:
                self._bins[name] = self._chosen(name, values)
            wide = binning.size(self._bins[name])
            place = binning.place(self._bins[name], values)
            counts = np.bincount(2 * place + differs, minlength=2 * wide).reshape(wide, 2)
            self._seen[name] = self._seen.get(name, np.zeros((wide, 2), np.int64)) + counts

    def found(self) -> tuple[int, tuple[Segment, ...]]:
        """How many segments were compared, and all of them, the likeliest first."""
        listed = [
            (name, cell, int(counts.sum()), int(counts[1]))
            for name, seen in self._seen.items()
            for cell, counts in zip(binning.cells(self._bins[name]), seen, strict=True)
            # What all pairs are in is no segment.
            if 0 < counts.sum() < self.pairs
        ]
        if not listed:
            return 0, ()
        sizes = np.array([pairs for _, _, pairs, _ in listed])
        inside = np.array([flips for _, _, _, flips in listed])
        events = np.full(len(listed), self._flips)
        log_e = np.asarray(concentration.log_e(inside, events, sizes / self.pairs))
        proven = multiplicity.e_bh(log_e, FALSE_SHARE)
        odds = np.exp(np.minimum(log_e, _MOST_LOG_ODDS))
        return len(listed), tuple(
            Segment(
                feature=listed[place][0],
                bin=listed[place][1],
                pairs=int(sizes[place]),
                flips=int(inside[place]),
                rate=float(inside[place] / sizes[place]),
                odds=float(odds[place]),
                proven=bool(proven[place]),
            )
            for place in np.argsort(-log_e, kind="stable").tolist()
        )

    def _chosen(self, name: str, values: Sequence[Cell]) -> Bins:
        known = self._reference.get(name)
        chosen = binning.from_dict(known["bins"]) if known else binning.bins_for(values)
        if isinstance(chosen, NumericBins):
            every = -(-(len(chosen.edges) + 1) // MOST_BINS)
            return NumericBins(chosen.edges[every - 1 :: every], chosen.lowest, chosen.highest)
        rest = chosen.categories[MOST_CATEGORIES:] + chosen.others
        return binning.CategoryBins(chosen.categories[:MOST_CATEGORIES], rest)
