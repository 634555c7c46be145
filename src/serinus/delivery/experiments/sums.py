"""What an experiment has measured so far: sums by arm and stretch, of constant size.

A *stretch* is a time of constant shares. Arms are numbered: 0 is the champion, k + 1 the k-th
challenger.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.moments import Floats

Shares = tuple[float, ...]
"""The configured share of each challenger."""


@dataclass
class Told:
    """What came of an arm's requests: ``left_out`` said nothing that the metric could use."""

    requests: int = 0
    labelled: int = 0
    left_out: int = 0


@dataclass
class Look:
    """The sums as they stood at a planned moment before the end, for the view before the end."""

    number: int
    at: int
    arms: dict[tuple[int, int], Floats]
    missing: dict[int, int] = field(default_factory=dict)


@dataclass
class Sums:
    """Everything that an evaluation is computed from.

    Attributes:
        stretches: the shares of each stretch, in the order of their first request.
        arms: moments by (stretch, arm).
        segments: moments by (feature, group, stretch, arm).
        spread: by arm, units in each bin of their value, where distributions are compared.
        told: by arm, what came of its requests.
        looks: those taken so far, oldest first.
        origin: what covariates are counted from; None before the first if nobody set it.
        began_at: when the first counted request was predicted (epoch microseconds); 0 before.
        last_at: the same of the last.
        closed_at: the planned end as it came, 0 before; nothing counts after it.
        missing: by arm, units without a covariate.
    """

    stretches: list[Shares] = field(default_factory=list)
    arms: dict[tuple[int, int], Floats] = field(default_factory=dict)
    segments: dict[tuple[int, int, int, int], Floats] = field(default_factory=dict)
    spread: dict[int, Counter[int]] = field(default_factory=dict)
    told: dict[int, Told] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    origin: float | None = None
    began_at: int = 0
    last_at: int = 0
    closed_at: int = 0
    missing: dict[int, int] = field(default_factory=dict)

    @property
    def units(self) -> int:
        """Units of all arms that were counted."""
        return round(sum(float(arm[mo.UNITS]) for arm in self.arms.values()))

    def units_of(self, arm: int) -> int:
        """Units of one arm."""
        return round(sum(float(m[mo.UNITS]) for (_, of), m in self.arms.items() if of == arm))

    def stretch(self, shares: Shares) -> int:
        """The number of the stretch with these shares, a new one if they are new."""
        if shares not in self.stretches:
            self.stretches.append(shares)
        return self.stretches.index(shares)

    def encode(self) -> bytes:
        """A form that the store keeps."""
        return _pack(
            _Stored(
                stretches=self.stretches,
                arms=_rows(self.arms),
                segments=[(*key, row.tolist()) for key, row in sorted(self.segments.items())],
                spread=[(arm, sorted(bins.items())) for arm, bins in sorted(self.spread.items())],
                told=[
                    (arm, told.requests, told.labelled, told.left_out)
                    for arm, told in sorted(self.told.items())
                ],
                looks=[
                    _StoredLook(
                        look.number, look.at, _rows(look.arms), sorted(look.missing.items())
                    )
                    for look in self.looks
                ],
                origin=self.origin,
                began_at=self.began_at,
                last_at=self.last_at,
                closed_at=self.closed_at,
                missing=sorted(self.missing.items()),
            )
        )


def decode(data: bytes) -> Sums:
    """The sums that :meth:`Sums.encode` wrote; empty data are empty sums."""
    if not data:
        return Sums()
    found = _STORED.decode(data)
    return Sums(
        stretches=list(found.stretches),
        arms=_keyed(found.arms),
        segments={(f, g, s, a): _array(row) for f, g, s, a, row in found.segments},
        spread={arm: Counter(dict(bins)) for arm, bins in found.spread},
        told={arm: Told(*numbers) for arm, *numbers in found.told},
        looks=[
            Look(look.number, look.at, _keyed(look.arms), dict(look.missing))
            for look in found.looks
        ],
        origin=found.origin,
        began_at=found.began_at,
        last_at=found.last_at,
        closed_at=found.closed_at,
        missing=dict(found.missing),
    )


_Row = tuple[int, int, list[float]]


class _StoredLook(msgspec.Struct, array_like=True):
    number: int
    at: int
    arms: list[_Row]
    missing: list[tuple[int, int]] = []


class _Stored(msgspec.Struct, array_like=True):
    stretches: list[Shares]
    arms: list[_Row]
    segments: list[tuple[int, int, int, int, list[float]]]
    spread: list[tuple[int, list[tuple[int, int]]]]
    told: list[tuple[int, int, int, int]]
    looks: list[_StoredLook]
    origin: float | None
    began_at: int
    last_at: int
    closed_at: int
    missing: list[tuple[int, int]] = []


_pack = msgspec.msgpack.Encoder().encode
_STORED = msgspec.msgpack.Decoder(_Stored)


def _rows(arms: dict[tuple[int, int], Floats]) -> list[_Row]:
    return [(stretch, arm, row.tolist()) for (stretch, arm), row in sorted(arms.items())]


def _keyed(rows: list[_Row]) -> dict[tuple[int, int], Floats]:
    return {(stretch, arm): _array(row) for stretch, arm, row in rows}


def _array(row: list[float]) -> Floats:
    return mo.NONE + row
