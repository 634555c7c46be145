"""What pairs add up to. Pure; arrays of a few numbers a pair."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.shadows.joining import Compared, Joined
from serinus.delivery.shadows.segments import Segments
from serinus.delivery.shadows.types import (
    Confusion,
    Differing,
    Failures,
    Interval,
    Labelled,
    Latency,
    Mover,
    Shift,
)
from serinus.delivery.types import Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold
from serinus.delivery.verdicts.evidence import SOAK
from serinus.stats import mcnemar, mean_bands, paired_betting
from serinus.stats.intervals import Estimate
from serinus.wire import Answer

Floats: TypeAlias = NDArray[np.float64]

MOST_MOVERS = 10
MOST_CLASSES = 12
OTHERS = "others"
_QUANTILES = (1, 5, 25, 50, 75, 95, 99)
_MOST_LOG_ODDS = 50.0


@dataclass
class Comparison:
    """Everything that is counted of pairs.

    Attributes:
        plan: says what is different, and what a label costs.
        names: of the features, as the champion's requests have them before the soak and in it.
        segments: where flips are counted by feature.
    """

    plan: Plan
    names: tuple[Sequence[str], Sequence[str]]
    segments: Segments
    pairs: int = 0
    soak: int = 0
    since_us: int | None = None
    until_us: int | None = None
    _failed: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    _flips: Counter[bool] = field(default_factory=Counter)
    _floor: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    _answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _classes: dict[str, None] = field(default_factory=dict)
    _scores: list[Floats] = field(default_factory=list)
    _champion_us: list[Floats] = field(default_factory=list)
    _challenger_us: list[Floats] = field(default_factory=list)
    _movers: list[tuple[float, bytes, float, float]] = field(default_factory=list)
    _losses: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, joined: Joined) -> None:
        """Take in what a batch added."""
        self._floor.update(joined.clones)
        for champion, challenger, truth in joined.labels:
            self._losses[self._loss(champion, truth), self._loss(challenger, truth)] += 1
        if not joined.pairs:
            return
        moments = [one.at for one in joined.pairs]
        self.since_us = min(moments) if self.since_us is None else min(self.since_us, *moments)
        self.until_us = max(moments) if self.until_us is None else max(self.until_us, *moments)
        self.pairs += len(joined.pairs)
        soaking = [one.pair.share == SOAK for one in joined.pairs]
        self.soak += sum(soaking)
        self._count(joined.pairs)
        self._score([one for one in joined.pairs if one.differs is not None])
        self._time(joined.pairs, np.array(soaking))
        for in_soak, names in zip((False, True), self.names, strict=True):
            rows = [
                (one.features, one.differs)
                for one, soaks in zip(joined.pairs, soaking, strict=True)
                if soaks is in_soak and one.features is not None and one.differs is not None
            ]
            if rows:
                features, differs = zip(*rows, strict=True)
                self.segments.add(names, features, np.array(differs, np.bool_))

    # ---------------------------------------------------------------- what it says

    def failures(self) -> Failures:
        """Who failed."""
        seen = self._failed
        return Failures(
            champion=seen[True, False] + seen[True, True],
            challenger=seen[False, True] + seen[True, True],
            both=seen[True, True],
        )

    def differing(self) -> Differing:
        """How often the answers differ, and how much of that is noise."""
        compared, cloned = self._flips.total(), self._floor.total()
        if cloned:
            kinds = ((False, False), (False, True), (True, False), (True, True))
            floor = np.array([self._floor[kind] for kind in kinds])
            excess = mean_bands.bounded(floor, ev.FLIP_DIFFERENCES)
        else:
            seen = np.array([self._flips[False], self._flips[True]])
            excess = mean_bands.bounded(seen, np.array([0.0, 1.0]))
            excess = Estimate(excess.value, max(0.0, excess.low), excess.high)
        own = self._floor[False, True] + self._floor[True, True]
        return Differing(
            compared=compared,
            flips=self._flips[True],
            rate=self._flips[True] / compared if compared else 0.0,
            same_within=self.plan.same_within,
            cloned=cloned,
            noise=own / cloned if cloned else None,
            excess=_told(excess),
        )

    def shift(self) -> Shift | None:
        """How the scores moved; None where answers are no numbers."""
        moved = np.concatenate(self._scores) if self._scores else np.zeros(0)
        if not len(moved):
            return None
        found = mean_bands.asymptotic(float(moved.sum()), float((moved**2).sum()), len(moved))
        marks = np.quantile(moved, np.array(_QUANTILES) / 100)
        return Shift(
            compared=len(moved),
            mean=_told(found),
            quantiles={f"p{q}": float(mark) for q, mark in zip(_QUANTILES, marks, strict=True)},
            movers=tuple(
                Mover(identity.hex(), champion, challenger)
                for _, identity, champion, challenger in sorted(self._movers, reverse=True)
            ),
        )

    def confusion(self) -> Confusion | None:
        """Which answers became which; None for a regression."""
        if self.plan.quality.task != "classification" or not self._answers:
            return None
        often = Counter[str]()
        for pair, times in self._answers.items():
            often.update(dict.fromkeys(pair, times))
        often.pop(OTHERS, None)
        shown = sorted(name for name, _ in often.most_common(MOST_CLASSES))
        place = {name: number for number, name in enumerate(shown)}
        counts = np.zeros((len(shown) + 1, len(shown) + 1), np.int64)
        for (champion, challenger), times in self._answers.items():
            counts[place.get(champion, -1), place.get(challenger, -1)] += times
        return Confusion((*shown, OTHERS), tuple(tuple(row) for row in counts.tolist()))

    def latencies(self) -> tuple[Latency | None, Latency | None]:
        """The champion's and the challenger's."""
        return _quantiles(self._champion_us), _quantiles(self._challenger_us)

    def labelled(self) -> Labelled | None:
        """Who was right, as far as labels came."""
        labels = self._losses.total()
        if not labels:
            return None
        differences: Counter[int] = Counter()
        sums = np.zeros(2)
        for (champion, challenger), times in self._losses.items():
            differences[challenger - champion + ev.LOSS_STEPS] += times
            sums += np.array([champion, challenger]) * times
        counts = np.array([differences[level] for level in range(2 * ev.LOSS_STEPS + 1)])
        better, worse = int(counts[: ev.LOSS_STEPS].sum()), int(counts[ev.LOSS_STEPS + 1 :].sum())
        champion_loss, challenger_loss = (sums / (ev.LOSS_STEPS * labels)).tolist()
        return Labelled(
            labels=labels,
            champion_loss=champion_loss,
            challenger_loss=challenger_loss,
            excess=_told(mean_bands.bounded(counts, ev.LOSS_DIFFERENCES)),
            challenger_better=better,
            champion_better=worse,
            odds_worse=self._odds(counts),
            odds_better=self._odds(counts[::-1]),
        )

    # ---------------------------------------------------------------- how it is counted

    def _odds(self, counts: NDArray[np.int64]) -> float:
        if self.plan.quality.task == "classification":
            log_e = mcnemar.log_e(counts[-1], counts[0])
        else:
            log_e = paired_betting.log_e_harm(counts, ev.LOSS_DIFFERENCES)
        return exp(min(log_e, _MOST_LOG_ODDS))

    def _loss(self, answer: Answer, truth: Answer) -> int:
        return ev.loss_level(self.plan.quality, answer, truth)

    def _count(self, compared: Sequence[Compared]) -> None:
        self._failed.update(
            (one.pair.champion is None, one.pair.challenger is None) for one in compared
        )
        self._flips.update(one.differs for one in compared if one.differs is not None)
        if self.plan.quality.task != "classification":
            return
        answers = Counter(
            (str(one.pair.champion.value), str(one.pair.challenger.value))
            for one in compared
            if one.pair.champion is not None and one.pair.challenger is not None
        )
        for (champion, challenger), times in answers.items():
            self._answers[self._class(champion), self._class(challenger)] += times

    def _class(self, name: str) -> str:
        """A class by its name, as long as there are few."""
        if name not in self._classes and len(self._classes) < 4 * MOST_CLASSES:
            self._classes[name] = None
        return name if name in self._classes else OTHERS

    def _score(self, compared: Sequence[Compared]) -> None:
        scores = np.array(
            [
                (fold.score_of(one.pair.champion), fold.score_of(one.pair.challenger))
                for one in compared
            ],
            np.float64,
        ).reshape(-1, 2)
        with np.errstate(invalid="ignore"):
            moved = scores[:, 1] - scores[:, 0]
        known = np.isfinite(moved)
        self._scores.append(moved[known])
        far = np.argsort(-np.abs(np.where(known, moved, 0.0)), kind="stable")[:MOST_MOVERS]
        for place in far.tolist():
            if known[place] and moved[place]:
                pushed = (
                    float(abs(moved[place])),
                    compared[place].prediction,
                    *scores[place].tolist(),
                )
                if len(self._movers) < MOST_MOVERS:
                    heapq.heappush(self._movers, pushed)
                else:
                    heapq.heappushpop(self._movers, pushed)

    def _time(self, compared: Sequence[Compared], soaking: NDArray[np.bool_]) -> None:
        """In the soak the challenger answers first, and the former champion in the shadow."""
        first = np.array(
            [np.nan if one.champion_us is None else one.champion_us for one in compared]
        )
        shadow = np.array([float(one.shadow_us) for one in compared])
        for kept, times in (
            (self._champion_us, np.where(soaking, shadow, first)),
            (self._challenger_us, np.where(soaking, first, shadow)),
        ):
            kept.append(times[np.isfinite(times)])


def _quantiles(parts: Sequence[Floats]) -> Latency | None:
    times = np.concatenate(parts) if parts else np.zeros(0)
    return Latency(*(np.quantile(times, (0.5, 0.95, 0.99)) / 1e3).tolist()) if len(times) else None


def _told(found: Estimate) -> Interval:
    low, high = (end if isfinite(end) else None for end in (found.low, found.high))
    return Interval(found.value, low, high)
