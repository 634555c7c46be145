"""What a gateway imports before it forks workers, so that they share it and start in a moment.

Only what the routing table needs: a gateway of ONNX graphs has neither pandas nor scikit-learn in
its memory. What is not imported here is imported by the worker that needs it.
"""

from __future__ import annotations

from pathlib import Path

from serinus.errors import SerinusError
from serinus.serving.runtimes import artifacts
from serinus.wire import RoutingTable

_GRAPHS = ("onnxruntime", "serinus.serving.runtimes.onnx")
_ESTIMATORS = (
    "sklearn.pipeline",
    "sklearn.utils.validation",
    "serinus.serving.runtimes.estimator",
)


def modules(table: RoutingTable | None) -> tuple[str, ...]:
    """The modules to import for the versions that a routing table names; for graphs at least."""
    names = set(_GRAPHS)
    routes = table.routes.values() if table is not None else ()
    for target in {t for route in routes for t in (route.champion, route.challenger) if t}:
        try:
            package = artifacts.package_of(Path(target.uri.removeprefix("file://")))
        except SerinusError:
            package = None
        if package is None or package.form == "estimator":
            names.update(_ESTIMATORS)
    return tuple(sorted(names))
