"""Long lists for a database, in parts that one statement may carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
# SQLite takes 32,766 values in a statement, and a key has up to four.
CHUNK = 500


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in their order, at most 500 at once."""
    left = iter(items)
    while chunk := list(islice(left, CHUNK)):
        yield chunk
