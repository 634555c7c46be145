"""Counts what was wrong with requests, by model, field and kind: known to nobody but a gateway.

Bounded by the models' own inputs: a field that no model has is counted under no name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TypeAlias

import msgspec

from serinus.errors import InvalidInput
from serinus.serving.protocols.faults import WrongRow
from serinus.wire import Field

Kind: TypeAlias = Literal["missing", "unknown", "type", "not finite", "malformed", "other"]

MOST_KEPT = 1_000
# What the protocols' faults say, and what kind each is.
_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile("the (field|input|value) is missing"), "missing"),
    (re.compile("the field is unknown|the model has no input"), "unknown"),
    (re.compile("the value is not finite"), "not finite"),
    (re.compile("expected |the value is no |the datatype is |.* is no number"), "type"),
    (re.compile("the body is not valid JSON"), "malformed"),
)


class Violation(msgspec.Struct, frozen=True):
    """How often one field of a model's requests was wrong in one way; ``field`` may be empty."""

    model: str
    field: str
    kind: Kind
    count: int


class Violations:
    """What was wrong with the requests of this worker."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, Kind]] = Counter()

    def note(self, model: str, inputs: Iterable[Field], error: Exception) -> None:
        """Count each thing that was wrong with a row that was refused; other errors are none of it.

        Args:
            model: that it was for.
            inputs: what a request may hold.
            error: why it was refused.
        """
        if isinstance(error, WrongRow):
            for one in error.each:
                self._count(model, inputs, one)
        elif isinstance(error, InvalidInput):
            self._count(model, inputs, error)

    def _count(self, model: str, inputs: Iterable[Field], error: InvalidInput) -> None:
        kind = next((kind for says, kind in _KINDS if says.match(error.what)), None)
        key = (model, _field(error.where, inputs), kind or "other")
        if key in self._counts or len(self._counts) < MOST_KEPT:
            self._counts[key] += 1

    @contextmanager
    def of(self, model: str, inputs: Iterable[Field]) -> Iterator[None]:
        """Count what is raised within, and let it pass."""
        try:
            yield
        except InvalidInput as error:
            self.note(model, inputs, error)
            raise

    def found(self) -> list[Violation]:
        """Everything counted so far."""
        return [Violation(*key, count) for key, count in self._counts.items()]


def total(many: Iterable[Violation]) -> list[Violation]:
    """The sum over workers, by model, field and kind."""
    counts: Counter[tuple[str, str, Kind]] = Counter()
    for one in many:
        counts[one.model, one.field, one.kind] += one.count
    return [Violation(*key, counts[key]) for key in sorted(counts)]


def by_model(many: Iterable[Violation]) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    """The same as people read it: model, field (empty: none of the model's), kind, count."""
    out: dict[str, dict[str, dict[str, int]]] = {}
    for one in many:
        out.setdefault(one.model, {}).setdefault(one.field, {})[one.kind] = one.count
    return out


def _field(where: str, inputs: Iterable[Field]) -> str:
    """The input that a fault's place names: ``age``, ``features.age``, ``row 3, age``."""
    named = [
        field.name
        for field in inputs
        if where == field.name or where.endswith((f".{field.name}", f", {field.name}"))
    ]
    return max(named, key=len, default="")
