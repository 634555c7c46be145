"""What a route answers where no version can, in the terms of its model. Pure."""

from __future__ import annotations

from math import isfinite

from serinus.wire import Answer, Manifest


def fitting(manifest: Manifest, default: Answer) -> Answer | None:
    """A default as the model itself would say it; None if it can say no such thing.

    Args:
        manifest: of the version in service.
        default: of the route: one of the classes, or of a regression any number.
    """
    if manifest.task == "regression":
        if isinstance(default, bool | str) or not isfinite(default):
            return None
        return float(default)
    # True == 1 in Python, but a boolean is no class of a model whose classes are numbers.
    same = (
        name
        for name in manifest.classes
        if name == default and isinstance(name, bool) is isinstance(default, bool)
    )
    return next(same, None) if manifest.classes else default
