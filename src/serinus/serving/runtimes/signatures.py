"""Rows as an MLflow model's signature wants them. Only the standard library: a child reads it, too.

A request knows only one kind of number, and MLflow refuses to make a narrow number of a wide one.
"""

from __future__ import annotations

from typing import Any

_NARROW = {"float": "float32", "integer": "int32"}


class Shaper:
    """Turns frames into what a model takes: narrower columns, or one array.

    Args:
        model: as MLflow's pyfunc loads it.
    """

    def __init__(self, model: Any) -> None:
        metadata = getattr(model, "metadata", None)
        schema = metadata.get_input_schema() if metadata is not None else None
        specs = [] if schema is None else schema.inputs
        self._tensor = specs[0] if schema is not None and schema.is_tensor_spec() else None
        self._narrow = {}
        if self._tensor is None:
            kinds = {spec.name: getattr(spec.type, "name", "") for spec in specs}
            self._narrow = {
                name: _NARROW[kind] for name, kind in kinds.items() if name and kind in _NARROW
            }

    def shape(self, frame: Any) -> Any:
        """The frame as the model takes it."""
        if self._tensor is not None:
            array = frame.to_numpy(dtype=self._tensor.type)
            return {self._tensor.name: array} if self._tensor.name else array
        return frame.astype(self._narrow) if self._narrow else frame
