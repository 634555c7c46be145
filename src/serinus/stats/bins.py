"""Counts over reference bins: the mergeable summary that drift is computed from.

Every function here is total: an empty, constant, all-missing, infinite or mixed column gives
bins and counts, never an exception, and every value lands in exactly one cell. Counts over the
same bins add up: ``count(b, x) + count(b, y) == count(b, x + y)`` in any order.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from serinus.errors import InvalidInput

Values: TypeAlias = Sequence[Any] | NDArray[Any]
"""A column: a sequence or a one-dimensional array of anything."""

Counts: TypeAlias = NDArray[np.int64]
Places: TypeAlias = NDArray[np.int64]
"""The number of a cell for each value of a column."""

MOST_OTHERS = 1_000
LONGEST_CATEGORY = 100


@dataclass(frozen=True)
class NumericBins:
    """Half-open bins of a numeric column: ``[lowest, e0) [e0, e1) … [ek, highest]``.

    Cells, in order: below ``lowest``; the bins; above ``highest``; missing; infinite. A column
    without any finite value has the range from minus to plus infinity and one bin.
    """

    edges: tuple[float, ...]
    lowest: float
    highest: float


@dataclass(frozen=True)
class CategoryBins:
    """The categories of a column by descending frequency, each in its text form.

    Cells, in order: each of ``categories``; any of ``others`` (known, but rarer); unseen;
    missing.
    """

    categories: tuple[str, ...]
    others: tuple[str, ...] = ()


Bins: TypeAlias = NumericBins | CategoryBins


# ------------------------------------------------------------------ making bins


def numeric_bins(values: Values, bins: int = 32) -> NumericBins:
    """Bins whose edges are quantiles of the finite ``values``, at most ``bins`` of them.

    A value so frequent that several quantiles fall on it (an atom) gets a bin of its own. A
    column of few distinct values gets one bin for each.
    """
    numbers = _numbers(values)
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return NumericBins((), -math.inf, math.inf)
    lowest, highest = float(finite.min()), float(finite.max())
    distinct = np.unique(finite)
    if distinct.size <= max(1, bins // 2):
        starts, atoms = distinct, distinct
    else:
        ranks = np.arange(1, bins) / bins
        quantiles = np.quantile(finite, ranks, method="inverted_cdf")
        starts, repeats = np.unique(quantiles, return_counts=True)
        atoms = starts[repeats > 1]
    after = [math.nextafter(atom, math.inf) for atom in atoms.tolist()]
    edges = np.unique(np.concatenate([starts, after]))
    inner = edges[(edges > lowest) & (edges <= highest)]
    return NumericBins(tuple(inner.tolist()), lowest, highest)


def category_bins(values: Values, top: int = 64) -> CategoryBins:
    """The ``top`` most frequent categories, and up to 1,000 further known ones.

    Ties are broken by the categories' text, so the order of rows does not matter. Texts longer
    than 100 characters are told apart by their first 100.
    """
    frequency = Counter(_categories(values))
    frequency.pop(None, None)
    ranked = sorted(frequency, key=lambda name: (-frequency[name], str(name)))
    names = [str(name) for name in ranked]
    return CategoryBins(tuple(names[:top]), tuple(names[top : top + MOST_OTHERS]))


def bins_for(values: Values) -> Bins:
    """Numeric bins if every value present is a number (a boolean is none), else categories."""
    if _is_numeric(values):
        return numeric_bins(values)
    return category_bins(values)


# ------------------------------------------------------------------ counting


def size(bins: Bins) -> int:
    """How many cells the counts over ``bins`` have."""
    if isinstance(bins, NumericBins):
        return len(bins.edges) + 5
    return len(bins.categories) + 3


def count(bins: Bins, values: Values) -> Counts:
    """How many of ``values`` fall into each cell; the sum is always ``len(values)``.

    In a numeric column whatever is not a number counts as missing.
    """
    return np.bincount(place(bins, values), minlength=size(bins)).astype(np.int64)


def place(bins: Bins, values: Values) -> Places:
    """The cell that each of ``values`` falls into."""
    if isinstance(bins, NumericBins):
        return _place_numbers(bins, _numbers(values))
    other = len(bins.categories)
    known: dict[str | None, int] = {None: other + 2}
    known.update((name, cell) for cell, name in enumerate(bins.categories))
    known.update(dict.fromkeys(bins.others, other))
    listed = list(values)
    if set(map(type, listed)) <= _WORDS:
        # Few texts come often: each is looked up once.
        found = {text: known.get(category(text), other + 1) for text in set(listed)}
        return np.fromiter(map(found.__getitem__, listed), np.int64, len(listed))
    unseen = other + 1
    return np.fromiter(
        (known.get(name, unseen) for name in map(category, listed)), np.int64, len(listed)
    )


class Quality(NamedTuple):
    """The counts of the cells that a faulty or changed source fills; None where there is none.

    ``below`` and ``above`` are numbers outside of the reference's range.
    """

    missing: int
    below: int | None = None
    above: int | None = None
    infinite: int | None = None
    unseen: int | None = None


def quality(bins: Bins, counts: Counts) -> Quality:
    """What counts over ``bins`` say of the quality of the data."""
    if isinstance(bins, NumericBins):
        return Quality(int(counts[-2]), int(counts[0]), int(counts[-3]), int(counts[-1]))
    return Quality(int(counts[-1]), unseen=int(counts[-2]))


def cells(bins: Bins) -> tuple[str, ...]:
    """What each cell holds, in words, in the order of the counts."""
    if isinstance(bins, CategoryBins):
        return (*bins.categories, "other known", "unseen", "missing")
    ends = (bins.lowest, *bins.edges, bins.highest)
    inner = tuple(
        f"{low:.4g}" if math.nextafter(low, math.inf) >= high else f"{low:.4g} to {high:.4g}"
        for low, high in itertools.pairwise(ends)
    )
    return ("below range", *inner, "above range", "missing", "infinite")


def _place_numbers(bins: NumericBins, numbers: NDArray[np.float64]) -> Places:
    starts = np.array([bins.lowest, *bins.edges, math.nextafter(bins.highest, math.inf)])
    found = np.searchsorted(starts, numbers, side="right")
    strange = ~np.isfinite(numbers)
    if strange.any():
        found[strange] = size(bins) - 1
        found[np.isnan(numbers)] = size(bins) - 2
    return found


# ------------------------------------------------------------------ plain JSON forms


def to_dict(bins: Bins) -> dict[str, Any]:
    """``bins`` as plain JSON; :func:`from_dict` gives them back exactly."""
    if isinstance(bins, CategoryBins):
        return {
            "kind": "category",
            "categories": list(bins.categories),
            "others": list(bins.others),
        }
    return {
        "kind": "numeric",
        "edges": list(bins.edges),
        "lowest": bins.lowest if math.isfinite(bins.lowest) else None,
        "highest": bins.highest if math.isfinite(bins.highest) else None,
    }


def from_dict(document: Mapping[str, Any]) -> Bins:
    """The bins that :func:`to_dict` wrote.

    Raises:
        InvalidInput: the document is not of that form.
    """
    try:
        if document["kind"] == "category":
            return CategoryBins(tuple(document["categories"]), tuple(document["others"]))
        if document["kind"] == "numeric":
            lowest, highest = document["lowest"], document["highest"]
            return NumericBins(
                tuple(float(edge) for edge in document["edges"]),
                -math.inf if lowest is None else float(lowest),
                math.inf if highest is None else float(highest),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"these are not bins ({error!r})", where="reference") from error
    raise InvalidInput(f"bins of the unknown kind {document['kind']!r}", where="reference")


def reference_profile(columns: Mapping[str, Values], output: Values) -> dict[str, Any]:
    """What a model version was trained on, as drift needs it: bins and counts of each column.

    Returns:
        ``{"rows": n, "features": {name: {"bins": …, "counts": […]}}, "output": {…}}`` in plain
        JSON. ``output`` is what the version predicts on these rows.
    """
    return {
        "rows": len(output),
        "features": {name: _profile(values) for name, values in columns.items()},
        "output": _profile(output),
    }


def _profile(values: Values) -> dict[str, Any]:
    bins = bins_for(values)
    return {"bins": to_dict(bins), "counts": count(bins, values).tolist()}


# ------------------------------------------------------------------ reading hostile columns

_PLAIN = frozenset({float, int, bool, type(None)})


def _numbers(values: Values) -> NDArray[np.float64]:
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiub":
        return values.astype(np.float64)
    listed = list(values)
    if set(map(type, listed)) <= _PLAIN:
        try:
            return np.array(listed, dtype=np.float64)
        except OverflowError:  # an integer beyond the floats
            pass
    return np.array([_number(value) for value in listed], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, int | float | np.number | np.bool_ | Decimal):
        try:
            return math.nan if isinstance(value, np.complexfloating) else float(value)
        except OverflowError:
            return math.inf
        except (TypeError, ValueError):  # a signalling Decimal, a time span
            return math.nan
    return math.nan


def _is_numeric(values: Values) -> bool:
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiub":
        return values.dtype.kind != "b"
    return all(
        _is_missing(value)
        or (isinstance(value, int | float | np.number | Decimal) and not isinstance(value, bool))
        for value in values
    )


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - what NaN is known by
    except (TypeError, ValueError, ArithmeticError):  # pandas.NA, arrays, signalling Decimals
        return not isinstance(value, np.ndarray | Sequence)


_WORDS = frozenset({str, type(None)})


def _categories(values: Values) -> Iterable[str | None]:
    return map(category, values)


def category(value: Any) -> str | None:
    """The text form that tells categories apart, None if missing; ``1`` and ``1.0`` are one."""
    if type(value) is str:
        return value if len(value) <= LONGEST_CATEGORY else value[:LONGEST_CATEGORY]
    if _is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON may carry one class either way
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 256:
        return hex(value)[:LONGEST_CATEGORY]  # decimal text has a limit of digits
    return str(value)[:LONGEST_CATEGORY]
