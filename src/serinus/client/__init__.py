"""The Python SDK: a running installation from programs and notebooks.

from serinus.client import Serinus

with Serinus() as serinus:
print(serinus.predict({"age": 41.0}).prediction)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serinus.deferred import Deferred

if TYPE_CHECKING:
    from serinus.client.transport import AsyncSerinus, Serinus

_transport = Deferred("serinus.client.transport")
__all__ = ["AsyncSerinus", "Serinus"]


def __getattr__(name: str) -> Any:
    # The control plane speaks of its answers in these shapes, and needs no HTTP client for that.
    if name in __all__:
        return getattr(_transport, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
