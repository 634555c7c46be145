"""From events to sums: what each request adds, in the order of the requests. Pure.

A request counts when all requests before it are settled: its label came in time, or its time is
over. So both arms are always compared over the same stretch of requests, however much later the
labels of one arm come. A comparison of the labels so far is not: it would compare the quick labels
of one arm with all labels of the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from math import inf, isinf, isnan
from typing import TypeVar

import msgspec
import numpy as np

from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments import spread
from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.experiments.moments import Floats
from serinus.delivery.experiments.sums import Look, Shares, Sums, Told
from serinus.delivery.experiments.types import Design, Grouping, Setup
from serinus.delivery.verdicts import evidence as ev
from serinus.wire import Answer, Assignment, Cell, Failure, Prediction
from serinus.wire import Arm as Role

LOOKS = 12
"""The plan is parted into so many: at the end of each part but the last a look is taken."""


class Draw(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must be remembered of a request until it is settled.

    ``answer`` is what the client got, whoever gave it (None: nothing): what is measured is what
    it means to be drawn into an arm, fallbacks included. ``unit`` is 0 if it is its own.
    """

    arm: int
    shares: Shares
    unit: int
    answer: Answer | None
    x: float | None = None
    groups: tuple[int, ...] = ()


class Settled(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request with what came of it (None: nothing in time)."""

    at: int
    draw: Draw
    outcome: Answer | None


@dataclass
class UnitSums:
    """An entity: arm, stretch, covariate and groups of its first request, and its sums so far.

    ``stretch`` is inverted, and so negative, while nothing that counts has come of it: whether and
    when a label comes may be an arm's doing, so what is known before is taken from the first
    request, not from the first with a label. ``x`` is infinite if it is missing.
    """

    arm: int
    stretch: int
    y: float
    n: float
    x: float
    groups: tuple[int, ...]


Units = MutableMapping[int, UnitSums]
_Key = TypeVar("_Key", bound=Hashable)


# ------------------------------------------------------------------ events


def shares_of(assignment: Assignment) -> Shares:
    """The configured shares of all challengers when a request was drawn."""
    return assignment.shares or (assignment.share,)


def draw_of(event: Prediction | Failure, setup: Setup) -> Draw | None:
    """What is remembered of a live request; None if it drew no arm."""
    assignment = event.assignment
    shares = shares_of(assignment)
    if not 0.0 < sum(shares) < 1.0:
        return None
    features = event.features
    return Draw(
        arm=0 if assignment.arm is Role.CHAMPION else assignment.variant + 1,
        shares=shares,
        unit=assignment.unit,
        answer=event.output.value if isinstance(event, Prediction) else None,
        x=_number(_cell(features, setup.covariate)),
        groups=tuple(group_of(item, _cell(features, item.place)) for item in setup.groupings),
    )


def group_of(grouping: Grouping, cell: Cell) -> int:
    """The group that a request with this feature is in."""
    if grouping.categories:
        text = str(cell)
        known = grouping.categories
        return known.index(text) if text in known else len(known)
    number = _number(cell)
    if number is None:
        return len(grouping.cuts) + 1
    return int(np.searchsorted(grouping.cuts, number, "right"))


def _cell(features: Sequence[Cell], place: int | None) -> Cell:
    return features[place] if place is not None and place < len(features) else None


def _number(cell: Cell) -> float | None:
    if cell is None or isinstance(cell, str):
        return None
    number = ev.number(cell)
    return None if isnan(number) else number


# ------------------------------------------------------------------ counting


@dataclass
class _Change:
    """What a unit was before and is now, as its moments see it."""

    stretch: int
    arm: int
    before: tuple[float, float] | None
    now: tuple[float, float]
    x: float
    groups: tuple[int, ...]


class Folding:
    """Adds settled requests to sums, and stops at each planned moment to look.

    Args:
        design: of the experiment.
        metric: what is measured.
        sums: what was counted so far; they are changed in place.
        units: the entities of these requests that were met before; new ones are added.
    """

    def __init__(self, design: Design, metric: Metric, sums: Sums, units: Units) -> None:
        self._design = design
        self._metric = metric
        self._sums = sums
        self._units = units
        self._pending: list[_Change] = []
        self._of_unit: dict[int, _Change] = {}
        self._count = sums.units

    def add(self, settled: Iterable[Settled], through: int) -> None:
        """Count these requests, oldest first.

        Args:
            settled: in the order of their requests.
            through: until when (epoch microseconds) nothing more is waited for.
        """
        sums = self._sums
        for item in settled:
            if sums.closed_at:
                return
            sums.began_at = sums.began_at or item.at
            sums.last_at = max(sums.last_at, item.at)
            self._count_in(item)
            self._check(sums.last_at)
        self._flush()
        if sums.began_at and not sums.closed_at:
            self._check(through)

    def _count_in(self, item: Settled) -> None:
        sums, draw = self._sums, item.draw
        told = sums.told.setdefault(draw.arm, Told())
        told.requests += 1
        met = self._units.get(draw.unit) if draw.unit else None
        if met is None and draw.unit:
            met = self._units[draw.unit] = self._meet(draw)
        parts = self._parts(item)
        if parts is None:
            return
        met = met or self._meet(draw)
        if met.arm != draw.arm:
            # It was moved to another arm since: what it does now is no pure effect of either.
            told.left_out += 1
            return
        if met.stretch < 0:
            met.stretch = ~met.stretch
            self._count += 1
            if isinf(met.x):
                sums.missing[met.arm] = sums.missing.get(met.arm, 0) + 1
            change = _Change(met.stretch, met.arm, None, (0.0, 0.0), _present(met.x), met.groups)
            self._pending.append(change)
        elif draw.unit in self._of_unit:
            change = self._of_unit[draw.unit]
        else:
            before = self._metric.of_unit(met.y, met.n)
            change = _Change(met.stretch, met.arm, before, before, _present(met.x), met.groups)
            self._pending.append(change)
        met.y += parts[0]
        met.n += parts[1]
        change.now = self._metric.of_unit(met.y, met.n)
        if draw.unit:
            self._of_unit[draw.unit] = change

    def _parts(self, item: Settled) -> tuple[float, float] | None:
        told = self._sums.told[item.draw.arm]
        metric, answer, outcome = self._metric, item.draw.answer, item.outcome
        if metric.source == "value":
            # What was never worth anything is never told: no value is nothing.
            return metric.parts(0, 0.0 if outcome is None else outcome)
        if metric.name == "accuracy" and answer is None:
            told.labelled += 1
            return 0.0, 1.0
        if outcome is None:
            return None
        told.labelled += 1
        found = None if answer is None else metric.parts(answer, outcome)
        told.left_out += found is None
        return found

    def _meet(self, draw: Draw) -> UnitSums:
        """A unit of which nothing has come yet."""
        stretch = self._sums.stretch(draw.shares)
        return UnitSums(draw.arm, ~stretch, 0.0, 0.0, self._covariate(draw.x), draw.groups)

    def _covariate(self, x: float | None) -> float:
        """Less the origin, so that squares keep their digits: the first one's, if none was set."""
        if x is None:
            return inf
        if self._sums.origin is None:
            self._sums.origin = x
        return x - self._sums.origin

    def _check(self, moment: int) -> None:
        """Look or close, if the plan says so at this moment."""
        sums, design = self._sums, self._design
        seconds = (moment - sums.began_at) / 1e6
        part = int(LOOKS * min(1.0, fraction(design, self._count, seconds)))
        over = part >= LOOKS or seconds >= max(design.most_seconds, design.least_seconds)
        due = sums.looks[-1].number if sums.looks else 0
        if not over and part <= due:
            return
        self._flush()
        if over:
            sums.closed_at = moment
        else:
            arms = {key: row.copy() for key, row in sums.arms.items()}
            sums.looks.append(Look(part, moment, arms, dict(sums.missing)))

    def _flush(self) -> None:
        changes, self._pending, self._of_unit = self._pending, [], {}
        if not changes:
            return
        added = _vectors([change.now for change in changes], [change.x for change in changes])
        grown = [number for number, change in enumerate(changes) if change.before is not None]
        if grown:
            added[grown] -= _vectors(
                [change.before for change in changes if change.before is not None],
                [changes[number].x for number in grown],
            )
        _merge(self._sums.arms, [(change.stretch, change.arm) for change in changes], added)
        for feature in range(len(changes[0].groups)):
            keys = [(feature, item.groups[feature], item.stretch, item.arm) for item in changes]
            _merge(self._sums.segments, keys, added)
        if self._metric.spread:
            self._flush_spread(changes)

    def _flush_spread(self, changes: Sequence[_Change]) -> None:
        for signed, told in (
            (1, [(change.arm, change.now) for change in changes]),
            (-1, [(change.arm, change.before) for change in changes if change.before is not None]),
        ):
            values = [parts[0] / parts[1] if parts[1] else 0.0 for _, parts in told]
            for (arm, _), place in zip(told, spread.places(values).tolist(), strict=True):
                bins = self._sums.spread.setdefault(arm, spread.Bins())
                bins[place] += signed
                if not bins[place]:
                    del bins[place]


def _present(x: float) -> float:
    """A covariate in sums: missing is 0, which is the origin."""
    return 0.0 if isinf(x) else x


def fraction(design: Design, units: int, seconds: float) -> float:
    """How far an experiment is towards its planned end: by units and by time, the lesser."""
    by_units = units / design.units
    return min(by_units, seconds / design.least_seconds) if design.least_seconds > 0 else by_units


def _vectors(parts: Sequence[tuple[float, float]], x: Sequence[float]) -> Floats:
    y, n = np.array(parts, np.float64).T
    return mo.of_units(y, n, np.array(x))


def _merge(sums: dict[_Key, Floats], keys: Sequence[_Key], rows: Floats) -> None:
    """Add each row to the sums of its key."""
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    added = np.zeros((len(places), mo.WIDTH))
    np.add.at(added, [places[key] for key in keys], rows)
    for key, place in places.items():
        sums[key] = sums.get(key, mo.NONE) + added[place]
