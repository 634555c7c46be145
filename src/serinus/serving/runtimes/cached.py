"""A version whose latest answers are remembered: the same row is not asked twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from serinus.serving.runtimes.types import Runtime
from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest, Output


class CachedRuntime:
    """Another runtime with a memory for answers; what failed is asked again.

    Only for versions that say the same of the same row each time. A row answered from memory is a
    prediction like any other: it has its own id and its event.

    Args:
        inner: who is asked for what is not known.
        rows: how many answers are remembered; the one not needed the longest is forgotten first.
    """

    def __init__(self, inner: Runtime, rows: int) -> None:
        self._inner = inner
        self._rows = rows
        self._known: OrderedDict[tuple[object, ...], Output] = OrderedDict()

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._inner.manifest

    @property
    def is_steady(self) -> bool:
        """As the other runtime's: a row that is not known costs what it costs there."""
        return self._inner.is_steady

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""
        known = self._known
        keys = [_key(row) for row in rows]
        asked = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
        fresh: dict[tuple[object, ...], Outcome] = {}
        if asked:
            outcomes = self._inner.answer(list(asked.values()))
            if len(outcomes) != len(asked):
                return outcomes
            fresh = dict(zip(asked, outcomes, strict=True))
        found: list[Outcome] = []
        for key in keys:
            outcome = fresh.get(key)
            if outcome is None:
                outcome = known[key]
                known.move_to_end(key)
            found.append(outcome)
        self._remember(fresh)
        return found

    def close(self) -> None:
        """Forget everything, and close the other."""
        self._known.clear()
        self._inner.close()

    def _remember(self, fresh: dict[tuple[object, ...], Outcome]) -> None:
        for key, outcome in fresh.items():
            if isinstance(outcome, Output):
                self._known[key] = outcome
        while len(self._known) > self._rows:
            self._known.popitem(last=False)


def _key(row: Features) -> tuple[object, ...]:
    # True == 1 == 1.0 in Python, and a model may tell them apart.
    return (*row, *map(type, row))
