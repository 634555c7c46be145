"""Rows to try a loaded version with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from serinus.serving.types import Features
from serinus.wire import Manifest

_SYNTHETIC: Mapping[str, Any] = {"double": 0.0, "long": 0, "boolean": False, "string": ""}


def probe_rows(manifest: Manifest, count: int) -> list[Features]:
    """Rows to try a model with: the manifest's example, its numbers varied; else made-up ones."""
    example: list[Any] = [
        manifest.example.get(field.name, _SYNTHETIC[field.type] if field.required else None)
        for field in manifest.inputs
    ]
    return [
        tuple(
            value * (1.0 + 0.25 * math.sin(row * 7 + column)) if isinstance(value, float) else value
            for column, value in enumerate(example)
        )
        if row
        else tuple(example)
        for row in range(count)
    ]
