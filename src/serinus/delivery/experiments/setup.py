"""What is fixed when an experiment begins, from its plan and the champion's own version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

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


def _grouping(feature: str, place: int, profile: Mapping[str, Any]) -> Grouping:
    found = bins.from_dict(profile["bins"])
    counts = np.asarray(profile["counts"], float)
    if not isinstance(found, NumericBins):
        return Grouping(feature, place, categories=found.categories[:_PARTS])
    ends = np.array([found.lowest, *found.edges, found.highest])
    inner = counts[1 : len(ends)]
    if not np.isfinite(ends).all() or inner.sum() <= 0:
        return Grouping(feature, place)
    passed = np.concatenate([[0.0], np.cumsum(inner)]) / inner.sum()
    cuts = np.interp(np.arange(1, _PARTS) / _PARTS, passed, ends)
    # A cut below which nothing is would part nothing.
    kept = np.unique(cuts)
    return Grouping(feature, place, cuts=tuple(float(cut) for cut in kept if cut > ends[0]))
