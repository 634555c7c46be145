"""Hostile variations of real rows: what no test set holds and some request will."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from serinus import wire
from serinus.registry.packaging.types import Row

Answers = Callable[[Sequence[Row]], list[tuple[float, ...] | None]]
"""The numbers that a model gives for each row, None where it gives none."""

_EXTREMES = (0.0, -0.0, 1e-12, -1.0, 1.0, 16_777_217.0, 1e9, -1e9, 3.0e38, -3.0e38)
_TEXTS = ("", " ", "unheard of", "Ünïcödé ☃", "x" * 300, "nan", "None")
_BASES = 4
_MIXED = 128
_EDGES = 64
_HALVINGS = 70
_SMALL = 1e-9


def variations(manifest: wire.Manifest, rows: Sequence[Row]) -> list[Row]:
    """Rows with missing, extreme and unknown values, and values of one row in another.

    Args:
        manifest: says which inputs may be missing.
        rows: real ones.
    """
    chance = random.Random(0)
    bases = [chance.choice(rows) for _ in range(_BASES)]
    found: list[Row] = []
    for place, field in enumerate(manifest.inputs):
        for base in bases:
            found += [_with(base, place, value) for value in _hostile(field, base[place])]
    optional = [place for place, field in enumerate(manifest.inputs) if not field.required]
    for base in bases:
        gaps = list(base)
        for place in optional:
            gaps[place] = None
        found.append(tuple(gaps))
    columns = list(zip(*rows, strict=True))
    found += [tuple(chance.choice(column) for column in columns) for _ in range(_MIXED)]
    return found


def edges(manifest: wire.Manifest, rows: Sequence[Row], answers: Answers) -> list[Row]:
    """Pairs of rows that differ by the last bit of one number, where the model's answer jumps.

    Between two values of an input the half with the larger change is halved again, until two
    neighbouring doubles are left: the threshold of a tree, wherever in a pipeline it stands.

    Args:
        manifest: tells which inputs are numbers.
        rows: real ones.
        answers: the original's.
    """
    chance = random.Random(1)
    numeric = [place for place, field in enumerate(manifest.inputs) if field.type == "double"]
    pairs: list[tuple[Row, int, float, float]] = []
    for number in range(_EDGES * 4):
        if not numeric or len(pairs) == _EDGES:
            break
        place = numeric[number % len(numeric)]
        base, other = chance.choice(rows), chance.choice(rows)
        low, high = _number(base[place]), _number(other[place])
        if low != high and math.isfinite(low - high):
            pairs.append((base, place, min(low, high), max(low, high)))
    for _ in range(_HALVINGS):
        narrowed = _halved(pairs, answers)
        if narrowed == pairs:
            break
        pairs = narrowed
    return [_with(base, place, value) for base, place, *ends in pairs for value in ends]


def _halved(
    pairs: list[tuple[Row, int, float, float]], answers: Answers
) -> list[tuple[Row, int, float, float]]:
    middles = [low + (high - low) / 2 for _, _, low, high in pairs]
    asked = [
        _with(base, place, value)
        for (base, place, low, high), middle in zip(pairs, middles, strict=True)
        for value in (low, middle, high)
    ]
    told = answers(asked)
    found = []
    for number, (base, place, low, high) in enumerate(pairs):
        below, between, above = told[3 * number : 3 * number + 3]
        middle = middles[number]
        if None in (below, between, above) or middle in (low, high):
            found.append((base, place, low, high))
            continue
        left, right = _change(below, between), _change(between, above)
        if max(left, right) < _SMALL:
            found.append((base, place, low, high))
        elif left >= right:
            found.append((base, place, low, middle))
        else:
            found.append((base, place, middle, high))
    return found


def _change(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> float:
    if a is None or b is None:
        return 0.0
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def _hostile(field: wire.Field, value: wire.Cell) -> list[wire.Cell]:
    missing: list[wire.Cell] = [] if field.required else [None]
    if field.type == "string":
        return [*missing, *_TEXTS]
    if field.type == "boolean":
        return [*missing, True, False]
    if field.type == "long":
        return [*missing, 0, 1, -1, 2**31, -(2**31), 2**53]
    own = _number(value)
    near = (math.nextafter(own, math.inf), math.nextafter(own, -math.inf), own * 1.5, -own)
    return [*missing, *_EXTREMES, *near]


def _number(value: wire.Cell) -> float:
    return float(value) if isinstance(value, float | int) else 0.0


def _with(row: Row, place: int, value: wire.Cell) -> Row:
    return (*row[:place], value, *row[place + 1 :])
