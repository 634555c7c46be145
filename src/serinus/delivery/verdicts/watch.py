"""The champion's latency quantiles of late, by which slow requests are told. Pure.

A threshold is fixed before the requests that it judges, so "slower than it" is a predictable event
and the tests stay exact however latencies drift. Quantiles come from a histogram that forgets, not
from stored requests: its size is constant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.verdicts.evidence import LATENCY_QUANTILES, Floats

# Bins 2 % wide from 10 microseconds; the last holds all beyond about five minutes.
_LOWEST = 10.0
_LOG_RATIO = log(1.02)
_BINS = 870
_HIGHEST = _LOWEST * exp(_BINS * _LOG_RATIO)
# Refreshed after so many champion requests, the first time after fewer; remembered for about 4,000.
_FIRST = 100
_REFRESH = 250
_MEMORY = 4_000.0


@dataclass(frozen=True, eq=False)
class Watch:
    """The champion's latencies of late.

    Attributes:
        weights: shape (870,), the forgetting histogram behind the present thresholds.
        pending: shape (870,), champion latencies since they were refreshed.
        seen: champion latencies ever seen.
    """

    weights: Floats
    pending: Floats
    seen: int

    @cached_property
    def thresholds(self) -> Floats:
        """Shape (7,), microseconds: the quantiles in force; NaN until enough was seen."""
        total = self.weights.sum()
        if total == 0:
            return np.full(len(LATENCY_QUANTILES), np.nan)
        cumulated = np.cumsum(self.weights) / total
        bins = np.searchsorted(cumulated, np.array(LATENCY_QUANTILES))
        # The lower end of the bin: where all latencies are alike, all of them are above it, so that
        # there is something to compare.
        ends: Floats = np.where(bins == 0, 0.0, _LOWEST * np.exp(bins * _LOG_RATIO))
        return ends

    def follow(self, latency: Floats, champion: NDArray[np.bool_]) -> tuple[Floats, Watch]:
        """The thresholds that were in force for each request, and the watch behind them.

        Args:
            latency: shape (n,), microseconds, in ledger order; infinity is the slowest.
            champion: shape (n,), which of them the champion answered, none of them NaN.

        Returns:
            Shape (n, 7), and the new watch.
        """
        thresholds = np.empty((len(latency), len(LATENCY_QUANTILES)))
        own = np.flatnonzero(champion)
        place = np.log(np.clip(latency[own], _LOWEST, _HIGHEST) / _LOWEST) / _LOG_RATIO
        bins = np.minimum(place.astype(np.int64), _BINS - 1)
        watch, start, taken = self, 0, 0
        while True:
            part = bins[taken : taken + watch._wanting()]
            full = len(part) == watch._wanting()
            # A request is judged by what was known before it, so the refreshing one by the old.
            end = int(own[taken + len(part) - 1]) + 1 if full else len(latency)
            thresholds[start:end] = watch.thresholds
            watch = watch._with(part)
            start, taken = end, taken + len(part)
            if not full:
                return thresholds, watch

    def __eq__(self, other: object) -> bool:
        """Whether the same was seen, to the last bit."""
        return isinstance(other, Watch) and self.encode() == other.encode()

    def __hash__(self) -> int:
        """Equal watches have an equal hash."""
        return hash(self.encode())

    def encode(self) -> bytes:
        """A compact form; the histograms are mostly empty."""
        return msgspec.msgpack.encode((self.seen, _sparse(self.weights), _sparse(self.pending)))

    def _wanting(self) -> int:
        """How many champion requests are missing until the next refresh."""
        return (_REFRESH if self.seen >= 1_000 else _FIRST) - int(self.pending.sum())

    def _with(self, bins: NDArray[np.int64]) -> Watch:
        if not len(bins):
            return self
        pending = self.pending + np.bincount(bins, minlength=_BINS)
        watch = Watch(self.weights, pending, self.seen + len(bins))
        if len(bins) < self._wanting():
            return watch
        kept = exp(-pending.sum() / _MEMORY)
        return replace(watch, weights=kept * self.weights + pending, pending=np.zeros(_BINS))


UNSEEN = Watch(np.zeros(_BINS), np.zeros(_BINS), 0)


def decode(data: bytes) -> Watch:
    """The watch that :meth:`Watch.encode` wrote; of no bytes, one that has seen nothing."""
    if not data:
        return UNSEEN
    seen, weights, pending = msgspec.msgpack.decode(
        data, type=tuple[int, dict[int, float], dict[int, float]]
    )
    return Watch(_dense(weights), _dense(pending), seen)


def _sparse(histogram: Floats) -> dict[int, float]:
    return {int(place): float(histogram[place]) for place in np.flatnonzero(histogram)}


def _dense(sparse: dict[int, float]) -> Floats:
    histogram = np.zeros(_BINS)
    histogram[list(sparse)] = list(sparse.values())
    return histogram
