"""Counts single values that are far from all training: numbers out of range, unseen categories.

Rows are only put aside when they are answered; they are looked at together, many at once, when
there are enough of them or when somebody asks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from operator import itemgetter
from struct import Struct
from struct import error as StructError
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from serinus import clock
from serinus.serving.asking.lanes import Lane, LaneApart
from serinus.serving.asking.rows import Row
from serinus.serving.types import Features
from serinus.wire import Manifest

Kind: TypeAlias = Literal["below", "above", "unseen"]

ROWS_AT_ONCE = 512
MOST_KEPT = 400
"""So many fields and kinds are told apart; of more, those that were seen last."""
MOST_CHECKS = 64
LONGEST_EXAMPLE = 64

_log = logging.getLogger("serinus.serving")


class Oddity(msgspec.Struct):
    """The values of one field of one version that were unusual in one way.

    ``field`` is empty for the rows with any such value. ``last_at`` is when the newest came, in
    epoch microseconds, and ``example`` what it was.
    """

    model: str
    version: str
    field: str
    kind: Kind | Literal["any"]
    count: int = 0
    last_at: int = 0
    example: float | str = ""

    def add(self, other: Oddity) -> None:
        """Count what another worker counted."""
        self.count += other.count
        if other.last_at > self.last_at:
            self.last_at, self.example = other.last_at, other.example


class Unusual:
    """The unusual values of this worker's rows."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, _Waiting] = {}
        self._count = 0
        self._checks: dict[tuple[str, str], _Check] = {}
        self._found: dict[tuple[str, str, str, str], Oddity] = {}

    def note(self, rows: Sequence[Row]) -> None:
        """Put answered (or failed) rows aside, to be looked at soon."""
        waiting = self._waiting
        for row in rows:
            lane = row.answered_by
            live = row.live
            if lane is None:
                assigned = row.assignment
                lane = live.lane(assigned.arm, assigned.variant)
            held = waiting.get(lane)
            if held is None:
                held = waiting[lane] = _Waiting()
            features = row.features
            held.features.append(
                live.features(features, lane.version) if live.projections else features
            )
            held.at.append(row.at)
        self._count += len(rows)
        if self._count >= ROWS_AT_ONCE:
            self.look()

    def look(self) -> None:
        """Look at the rows that were put aside."""
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for lane, held in waiting.items():
            if isinstance(lane, LaneApart):
                continue  # Nobody's traffic: a version in Staging is asked anything.
            manifest = lane.runtime.manifest
            key = (manifest.model, lane.version)
            check = self._checks.get(key)
            if check is None or check.manifest is not manifest:
                if len(self._checks) >= MOST_CHECKS:
                    self._checks.clear()
                check = self._checks[key] = _Check(manifest, lane.version)
            try:
                found = check.look(held.features, held.at)
            except Exception:
                # A fault of our own in a look that nobody asked for: no request suffers from it.
                _log.exception("rows of %s could not be looked at", key)
                continue
            for oddity in found:
                self._add(oddity)

    def found(self) -> list[Oddity]:
        """Everything unusual so far, in the rows of this moment too."""
        if self._waiting:
            self.look()
        return list(self._found.values())

    def _add(self, oddity: Oddity) -> None:
        key = (oddity.model, oddity.version, oddity.field, oddity.kind)
        known = self._found.get(key)
        if known is None:
            if len(self._found) >= MOST_KEPT:
                oldest = min(self._found, key=lambda name: self._found[name].last_at)
                del self._found[oldest]
            self._found[key] = oddity
        else:
            known.add(oddity)


def total(many: Iterable[Oddity]) -> list[Oddity]:
    """The sum over workers, by model, version and field."""
    summed: dict[tuple[str, str, str, str], Oddity] = {}
    for oddity in many:
        key = (oddity.model, oddity.version, oddity.field, oddity.kind)
        if key not in summed:
            summed[key] = Oddity(*key[:3], oddity.kind)
        summed[key].add(oddity)
    return [summed[key] for key in sorted(summed)]


def by_model(many: Iterable[Oddity]) -> dict[str, dict[str, Any]]:
    """The same as people read it: model, version, how many rows, and each field's values."""
    out: dict[str, dict[str, Any]] = {}
    for oddity in many:
        versions = out.setdefault(oddity.model, {})
        about = versions.setdefault(oddity.version, {"rows": 0, "fields": {}})
        last = clock.from_epoch_us(oddity.last_at).isoformat()
        if not oddity.field:
            about["rows"], about["last_at"] = oddity.count, last
            continue
        about["fields"].setdefault(oddity.field, {})[oddity.kind] = {
            "values": oddity.count,
            "last_at": last,
            "example": oddity.example,
        }
    return out


class _Waiting:
    """Rows of one version, and when they came."""

    __slots__ = ("at", "features")

    def __init__(self) -> None:
        self.features: list[Features] = []
        self.at: list[int] = []


class _Check:
    """Looks at rows of one version.

    Args:
        manifest: of the version; a field without a range or categories is never unusual.
        version: its name.
    """

    def __init__(self, manifest: Manifest, version: str) -> None:
        self.manifest = manifest
        self._version = version
        ranged = [
            (place, field.low, field.high)
            for place, field in enumerate(manifest.inputs)
            if field.low is not UNSET and field.high is not UNSET
        ]
        self._places = [place for place, _, _ in ranged]
        self._low = np.array([low for _, low, _ in ranged], np.float64)
        self._high = np.array([high for _, _, high in ranged], np.float64)
        self._every = len(ranged) == len(manifest.inputs)
        self._layout = Struct(f"{len(ranged)}d")
        self._known = [
            (place, frozenset((*field.known, None)))
            for place, field in enumerate(manifest.inputs)
            if field.known is not UNSET
        ]

    def look(self, rows: Sequence[Features], at: Sequence[int]) -> list[Oddity]:
        """What is unusual about rows that came at these times."""
        found: list[Oddity] = []
        odd: set[int] = set()
        if self._places:
            numbers = self._numbers(rows)
            far = (numbers < self._low) | (numbers > self._high)
            if far.any():
                for place, column in enumerate(far.T):
                    hits = np.flatnonzero(column).tolist()
                    if hits:
                        odd.update(hits)
                        found += self._far(place, numbers[:, place], hits, at)
        for place, known in self._known:
            values = {row[place] for row in rows}
            if not values <= known:
                hits = [number for number, row in enumerate(rows) if row[place] not in known]
                odd.update(hits)
                example = str(rows[hits[-1]][place])[:LONGEST_EXAMPLE]
                found.append(self._oddity(place, "unseen", hits, at, example))
        if odd:
            last = max(at[number] for number in odd)
            model = self.manifest.model
            found.append(Oddity(model, self._version, "", "any", len(odd), last))
        return found

    def _far(
        self,
        place: int,
        numbers: npt.NDArray[np.float64],
        hits: list[int],
        at: Sequence[int],
    ) -> list[Oddity]:
        field = self._places[place]
        kinds: dict[Kind, list[int]] = {"below": [], "above": []}
        for number in hits:
            kinds["below" if numbers[number] < self._low[place] else "above"].append(number)
        return [
            self._oddity(field, kind, some, at, float(numbers[some[-1]]))
            for kind, some in kinds.items()
            if some
        ]

    def _oddity(
        self, place: int, kind: Kind, hits: list[int], at: Sequence[int], example: float | str
    ) -> Oddity:
        name = self.manifest.inputs[place].name
        return Oddity(
            self.manifest.model, self._version, name, kind, len(hits), at[hits[-1]], example
        )

    def _numbers(self, rows: Sequence[Features]) -> npt.NDArray[np.float64]:
        """The values of the fields that have ranges; missing ones are NaN."""
        width = len(self._places)
        if self._every:
            chosen = rows
        elif width == 1:
            chosen = [(row[self._places[0]],) for row in rows]
        else:
            chosen = list(map(itemgetter(*self._places), rows))
        # Packing is three times as fast as letting numpy look at each value; it takes no None.
        buffer = bytearray(self._layout.size * len(rows))
        pack, size = self._layout.pack_into, self._layout.size
        try:
            for number, row in enumerate(chosen):
                pack(buffer, number * size, *row)
        except StructError:
            return np.array(chosen, np.float64).reshape(len(rows), width)
        return np.frombuffer(buffer, np.float64).reshape(len(rows), width)
