"""Modules that are imported when they are first asked for something.

MLflow and pandas take more than a second and a hundred megabytes to import. A control process that
was killed has to lead deployments long before it needs either.
"""

from __future__ import annotations

import importlib
from typing import Any


class Deferred:
    """Stands for a module until, and behaves like it once, one of its names is asked for.

    Args:
        name: of the module, in full.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
