"""What is fixed when an experiment begins, from its plan and the champion's own version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serinus.delivery.experiments.moments import Floats
from serinus.delivery.experiments.types import Grouping, Setup
from serinus.errors import InvalidInput
from serinus.stats import bins
from serinus.stats.bins import NumericBins
from serinus.wire import Manifest

MOST_FEATURES = 6
"""Effects are told by the groups of so many features: the covariate first, then the inputs."""
_PARTS = 4
_NUMERIC = ("double", "long", "boolean")


def make(manifest: Manifest, reference: Mapping[str, Any], covariate: str | None) -> Setup:
    """The setup of an experiment.

    Args:
        manifest: of the champion.
        reference: its reference profile, from which groups are cut by quarters.
        covariate: the input that is adjusted for, if any.

    Raises:
        InvalidInput: the covariate is no input of numbers.
    """
    wrong = faults(manifest, covariate)
    if wrong:
        raise InvalidInput("this covariate cannot be adjusted for", where="covariate", faults=wrong)
    names = [item.name for item in manifest.inputs]
    place = None if covariate is None else names.index(covariate)
    profiles: Mapping[str, Any] = reference.get("features", {})
    ordered = sorted(range(len(names)), key=lambda number: number != place)
    groupings = [
        _grouping(names[number], number, profiles[names[number]])
        for number in ordered
        if names[number] in profiles
    ]
    told = [item for item in groupings if item.cuts or item.categories]
    return Setup(manifest.task, manifest.classes, place, tuple(told[:MOST_FEATURES]))


def faults(manifest: Manifest, covariate: str | None) -> list[str]:
    """What is wrong with a covariate for a model; none if it can be used."""
    if covariate is None:
        return []
    types = {item.name: item.type for item in manifest.inputs}
    if types.get(covariate) in _NUMERIC:
        return []
    numbers = ", ".join(name for name, kind in types.items() if kind in _NUMERIC) or "none"
    return [f"covariate: {covariate!r} is no input of numbers; those are {numbers}"]


def origin(manifest: Manifest, reference: Mapping[str, Any], place: int | None) -> float | None:
    """Where a covariate is counted from: the median of the reference profile; None without one.

    It is fixed before the first request, so that no arm has a hand in it.
    """
    if place is None:
        return None
    feature = manifest.inputs[place].name
    profile = reference.get("features", {}).get(feature)
    found = _quantiles(profile, np.array([0.5])) if profile is not None else None
    return None if found is None else float(found[0])


def _grouping(feature: str, place: int, profile: Mapping[str, Any]) -> Grouping:
    found = bins.from_dict(profile["bins"])
    if not isinstance(found, NumericBins):
        return Grouping(feature, place, categories=found.categories[:_PARTS])
    cuts = _quantiles(profile, np.arange(1, _PARTS) / _PARTS)
    if cuts is None:
        return Grouping(feature, place)
    # A cut below which nothing is would part nothing.
    kept = tuple(float(cut) for cut in np.unique(cuts) if cut > found.lowest)
    return Grouping(feature, place, cuts=kept)


def _quantiles(profile: Mapping[str, Any], shares: Floats) -> Floats | None:
    """Quantiles of a profile; None where it is none of numbers, or of none at all."""
    found = bins.from_dict(profile["bins"])
    if not isinstance(found, NumericBins):
        return None
    counts = np.asarray(profile["counts"], float)
    ends = np.array([found.lowest, *found.edges, found.highest])
    inner = counts[1 : len(ends)]
    if not np.isfinite(ends).all() or inner.sum() <= 0:
        return None
    passed = np.concatenate([[0.0], np.cumsum(inner)]) / inner.sum()
    cuts: Floats = np.interp(shares, passed, ends)
    return cuts
