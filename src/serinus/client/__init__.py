"""The Python SDK: a running installation from programs and notebooks.

from serinus.client import Serinus

with Serinus() as serinus:
print(serinus.predict({"age": 41.0}).prediction)
"""

from serinus.client.transport import AsyncSerinus, Serinus

__all__ = ["AsyncSerinus", "Serinus"]
