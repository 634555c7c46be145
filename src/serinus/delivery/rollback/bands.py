"""The earlier range of each sign of life, and what is evidence for or against being in it. Pure.

A rate's range is its mean plus and minus three times what stretches of time differ by beyond
chance, and three standard errors of the mean itself; the criteria's margin is added. Whether the
present rate is inside is asked of two e-processes at the range's end, one against either answer
(:mod:`serinus.stats.service_level`), so both answers hold at every look.

Requests that come in bursts prove less than they number. What neighbouring stretches differ by,
over what chance would make them, says how much: counts are divided by it before they are tested.
That, and the normal law of means that are no rates, is approximation; everything else is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log, log2, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from serinus.delivery.planning.plan import REGRESSION_CAP
from serinus.delivery.rollback import counts as counting
from serinus.delivery.rollback.counts import PER_OCTAVE, Counts
from serinus.delivery.rollback.types import Signal
from serinus.registry.model_types import RollbackCriteria
from serinus.stats import service_level

FEWEST_REQUESTS = 200
FEWEST_LABELS = 50
ANSWER_POINTS = 0.05
"""How much the share of a class, or of the values beyond a threshold, may move."""

MOST_STRETCHES = 64
"""So many stretches ago a harm may have begun."""

# A bet on each of these beginnings.
_SINCE = (1, 2, 4, 8, 16, 32, MOST_STRETCHES)
_SPREADS = 3.0
# Of many stretches the most unlike are left out: yesterday's outage is not what is usual.
_TRIMMED = 0.02
_FEWEST_TO_TRIM = 50
_FEWEST_STRETCHES = 6
# A tail so heavy with bursts that a thousand requests are worth one is no evidence any more.
_MOST_BURSTS = 1_000.0
_QUANTILES = ((0.5, "median latency"), (0.95, "p95 latency"))
_ANSWER_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_LEAST_SHARE = 0.02
# The prior of a mean's test is sharpest for departures seen in about so many observations.
_MEAN_OBSERVATIONS = 100.0
_FEWEST_FOR_MEAN = 30

Floats = NDArray[np.float64]


class Measured(NamedTuple):
    """A band's figure in some counts: ``total`` among ``number``; ``squares`` only of means."""

    total: float
    number: float
    squares: float = 0.0

    @property
    def rate(self) -> float | None:
        """Total by number; None of nothing."""
        return self.total / self.number if self.number else None


class Evidence(NamedTuple):
    """Log e-values: that the figure is inside its band, and that it is outside of it."""

    inside: float
    outside: float


class Breach(NamedTuple):
    """Log e-value for having been outside, and since how many stretches that is likeliest."""

    log_e: float
    stretches: int


@dataclass(frozen=True)
class Band:
    """Where one sign of life was, with the margin that still counts as being there.

    Attributes:
        name: in words.
        signal: what it belongs to.
        figure: how it is counted.
        cut: the class, or the octave beyond which something counts.
        earlier: its figure before.
        low: the least that counts as inside; None asks nothing.
        high: the most that does; None asks nothing.
        bursts: how many requests are worth one.
        shown: what ``cut`` means to a person, if anything.
    """

    name: str
    signal: Signal
    figure: Literal["failures", "latency", "class", "number", "loss", "mean loss", "value"]
    cut: str | int
    earlier: float
    low: float | None
    high: float | None
    bursts: float = 1.0
    shown: str = ""

    @property
    def fewest(self) -> int:
        """From how many observations on a range is one."""
        return FEWEST_LABELS if self.signal in ("quality", "business") else FEWEST_REQUESTS

    @property
    def is_mean(self) -> bool:
        """Whether its figure is no rate, but a mean of any numbers."""
        return self.figure in ("mean loss", "value")


def bands(before: Sequence[Counts], criteria: RollbackCriteria) -> tuple[Band, ...]:
    """The bands of everything that there was enough of.

    Args:
        before: a version's stretches from before anything was wrong, in the order of time.
        criteria: the margins.
    """
    whole = counting.total(before)
    found = [
        *_errors(before, whole, criteria),
        *_latencies(before, whole, criteria),
        *_classes(before, whole),
        *_numbers(before, whole),
        *_quality(before, whole, criteria),
        *_value(whole, criteria),
    ]
    return tuple(band for band in found if (band.low, band.high) != (None, None))


def measure(band: Band, counts: Counts) -> Measured:
    """What a band says of some counts."""
    match band.figure:
        case "failures":
            return Measured(counts.failures, counts.requests)
        case "latency":
            return _beyond(counts.latency, int(band.cut))
        case "number":
            return _beyond(counts.numbers, int(band.cut))
        case "class":
            number = sum(counts.classes.values())
            return Measured(counts.classes.get(str(band.cut), 0), number)
        case "loss":
            return Measured(counts.loss, counts.labelled)
        case "mean loss":
            return Measured(counts.loss, counts.labelled, counts.loss_squares)
        case "value":
            return Measured(counts.value, counts.valued, counts.value_squares)


def weigh(band: Band, seen: Measured) -> Evidence:
    """What was seen as evidence for being inside the band, and for being outside."""
    inside, outside = inf, -inf
    for end, up in ((band.high, True), (band.low, False)):
        if end is not None:
            within, beyond = _end(band, seen, end, up=up)
            inside, outside = min(inside, within), max(outside, beyond)
    if band.low is not None and band.high is not None:
        outside -= log(2.0)  # the mean of the two bets is at least half of the better one
    return Evidence(inside, outside) if inside < inf else Evidence(0.0, 0.0)


def breach(band: Band, stretches: Sequence[Counts]) -> Breach:
    """Whether a band was left at any time of late: the mean of bets on several beginnings.

    Args:
        band: the range.
        stretches: what was shown, oldest first.
    """
    logs = []
    for length in _SINCE:
        seen = measure(band, counting.total(stretches[-length:]))
        logs.append(weigh(band, seen).outside if seen.number else 0.0)
        if length >= len(stretches):
            break
    top = max(logs)
    found = top + log(sum(exp(item - top) for item in logs) / len(logs))
    return Breach(found, min(_SINCE[logs.index(top)], len(stretches)))


def in_words(band: Band, value: float | None) -> str:
    """A band's figure for people."""
    if value is None:
        return "nothing"
    return f"{value:.3g}" if band.is_mean else f"{100 * value:.3g} %"


def _end(band: Band, seen: Measured, end: float, *, up: bool) -> tuple[float, float]:
    """Log e-values for lying on the band's side of one end, and for lying beyond it."""
    if band.is_mean:
        above = _log_e_mean(seen, end, band.bursts)
        below = _log_e_mean(Measured(-seen.total, seen.number, seen.squares), -end, band.bursts)
    else:
        total, number = seen.total / band.bursts, seen.number / band.bursts
        above = service_level.log_e_breach(total, number, end)
        below = service_level.log_e_kept(total, number, end)
    return (below, above) if up else (above, below)


def _log_e_mean(seen: Measured, bound: float, bursts: float) -> float:
    """Log e-value against "the mean is at most ``bound``", by a half-normal mixture.

    Source: Robbins (1970); with the estimated variance it holds asymptotically (Waudby-Smith,
    Arbour, Sinha, Kennedy & Ramdas, arXiv 2103.06476).
    """
    number = seen.number / bursts
    if number < _FEWEST_FOR_MEAN:
        return 0.0
    mean = seen.total / seen.number
    variance = max(seen.squares / seen.number - mean**2, 1e-12 * (1.0 + mean**2))
    total = number * (mean - bound) / sqrt(variance)
    prior = 1.0 / _MEAN_OBSERVATIONS
    spread = number * prior + 1.0
    tail = float(special.log_ndtr(total * sqrt(prior / spread)))
    return log(2.0) + total**2 * prior / (2.0 * spread) - 0.5 * log(spread) + tail


# ------------------------------------------------------------------ ranges


def _errors(before: Sequence[Counts], whole: Counts, criteria: RollbackCriteria) -> Iterable[Band]:
    if whole.requests >= FEWEST_REQUESTS:
        usual = _usual([(item.failures, item.requests) for item in before])
        high = _below_one(usual.high + criteria.error_points)
        yield Band("errors", "errors", "failures", "", usual.mean, None, high, usual.bursts)


def _latencies(
    before: Sequence[Counts], whole: Counts, criteria: RollbackCriteria
) -> Iterable[Band]:
    if sum(whole.latency.values()) < FEWEST_REQUESTS:
        return
    for share, name in _QUANTILES:
        usual = _quantile(whole.latency, share)
        spread = _quantile_spread([item.latency for item in before], share)
        margin = PER_OCTAVE * log2(criteria.latency_ratio)
        cut = ceil(usual + _SPREADS * spread + margin)
        beyond = _usual([_beyond(item.latency, cut)[:2] for item in before])
        yield Band(
            name,
            "latency",
            "latency",
            cut,
            beyond.mean,
            None,
            1.0 - share,
            beyond.bursts,
            f"{2 ** ((cut + 1) / PER_OCTAVE) / 1000:.3g} ms (usual: "
            f"{2 ** ((usual + 0.5) / PER_OCTAVE) / 1000:.3g} ms)",
        )


def _classes(before: Sequence[Counts], whole: Counts) -> Iterable[Band]:
    number = sum(whole.classes.values())
    if number < FEWEST_REQUESTS:
        return
    for name in sorted(whole.classes):
        if whole.classes[name] >= _LEAST_SHARE * number:
            seen = [(item.classes.get(name, 0), sum(item.classes.values())) for item in before]
            yield _share(f"answers {name!r}", "class", name, seen)


def _numbers(before: Sequence[Counts], whole: Counts) -> Iterable[Band]:
    if sum(whole.numbers.values()) < FEWEST_REQUESTS:
        return
    cuts = dict.fromkeys(_quantile(whole.numbers, share) for share in _ANSWER_QUANTILES)
    for cut in cuts:
        seen = [_beyond(item.numbers, cut)[:2] for item in before]
        yield _share(f"answers above {counting.number_at(cut):.3g}", "number", cut, seen)


def _share(
    name: str,
    figure: Literal["class", "number"],
    cut: str | int,
    seen: Sequence[tuple[float, float]],
) -> Band:
    usual = _usual(seen)
    low, high = usual.low - ANSWER_POINTS, usual.high + ANSWER_POINTS
    return Band(
        name,
        "answers",
        figure,
        cut,
        usual.mean,
        low if low > 0 else None,
        high if high < 1 else None,
        usual.bursts,
    )


def _quality(before: Sequence[Counts], whole: Counts, criteria: RollbackCriteria) -> Iterable[Band]:
    points = criteria.quality_points
    if points is None or whole.labelled < FEWEST_LABELS:
        return
    mean = whole.loss / whole.labelled
    if whole.classes or whole.loss == whole.loss_squares:
        usual = _usual([(item.loss, item.labelled) for item in before])
        high = _below_one(usual.high + points)
        yield Band("wrong answers", "quality", "loss", "", usual.mean, None, high, usual.bursts)
    else:
        # A point of a regression is a hundredth of the error at which deployments cap it.
        margin = points * REGRESSION_CAP * mean
        high = mean + _SPREADS * _error(whole.loss_squares, mean, whole.labelled) + margin
        yield Band("mean error of answers", "quality", "mean loss", "", mean, None, high)


def _value(whole: Counts, criteria: RollbackCriteria) -> Iterable[Band]:
    if criteria.value_loss is None or whole.valued < FEWEST_LABELS:
        return
    mean = whole.value / whole.valued
    low = mean - _SPREADS * _error(whole.value_squares, mean, whole.valued)
    low -= criteria.value_loss * abs(mean)
    yield Band("business value of an answer", "business", "value", "", mean, low, None)


class _Usual(NamedTuple):
    mean: float
    low: float
    high: float
    bursts: float


def _usual(seen: Sequence[tuple[float, float]]) -> _Usual:
    """A rate's mean and range over stretches, and how bursty its events were."""
    table = np.array([item for item in seen if item[1] > 0], np.float64).reshape(-1, 2)
    hits, number = table[:, 0], table[:, 1]
    rate = hits / number
    if len(rate) >= _FEWEST_TO_TRIM:
        low, high = np.quantile(rate, (_TRIMMED, 1.0 - _TRIMMED))
        kept = (rate >= low) & (rate <= high)
        hits, number, rate = hits[kept], number[kept], rate[kept]
    total = number.sum()
    mean = hits.sum() / total
    # Of no event at all in so many something must be thought possible.
    likely = (hits.sum() + 1.0) / (total + 2.0)
    chance = likely * (1.0 - likely)
    spread = 0.0
    if len(rate) >= _FEWEST_STRETCHES:
        beyond = (number * ((rate - mean) ** 2 - chance / number)).sum() / total
        spread = sqrt(max(0.0, float(beyond)))
    reach = _SPREADS * (spread + sqrt(chance / total))
    bursts = _bursts(rate, number, chance)
    return _Usual(float(mean), float(mean - reach), float(mean + reach), bursts)


def _bursts(rate: Floats, number: Floats, chance: float) -> float:
    """What neighbouring stretches differ by over what chance makes of it: slow swings cancel."""
    if len(rate) < 2 * _FEWEST_STRETCHES:
        return 1.0
    steps = np.diff(rate) ** 2 / (chance * (1.0 / number[1:] + 1.0 / number[:-1]))
    keep = max(1, round(len(steps) * (1.0 - _TRIMMED)))
    return float(np.clip(np.sort(steps)[:keep].mean(), 1.0, _MOST_BURSTS))


def _beyond(levels: dict[int, int], cut: int) -> Measured:
    return Measured(
        sum(number for level, number in levels.items() if level > cut), sum(levels.values())
    )


def _quantile(levels: dict[int, int], share: float) -> int:
    """The level in which that share of all is reached."""
    places = sorted(levels)
    passed = np.cumsum([levels[place] for place in places])
    return places[int(np.searchsorted(passed, share * passed[-1]))]


def _quantile_spread(stretches: Sequence[dict[int, int]], share: float) -> float:
    """What stretches' quantiles differ by, in levels; by its quartiles, so that few do not count.

    Chance is in it: a range that is a little too wide misses little, one too narrow blames.
    """
    enough = [item for item in stretches if sum(item.values()) >= FEWEST_REQUESTS]
    if len(enough) < _FEWEST_STRETCHES:
        return 0.0
    found = [_quantile(item, share) for item in enough]
    lower, upper = np.quantile(found, (0.25, 0.75))
    return float(upper - lower) / 1.349


def _error(squares: float, mean: float, number: int) -> float:
    return sqrt(max(0.0, squares / number - mean**2) / number)


def _below_one(rate: float) -> float:
    return min(rate, 0.999)
