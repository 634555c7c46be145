"""From the ledger's events to pairs with all that is known of them. Pure, in bounded memory.

A pair comes after its champion's event in the same log, soon; a clone before it or after, soon; a
label at any time. What waits for its other part is kept newest first, and forgotten beyond a bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serinus.delivery.types import Deployment
from serinus.delivery.verdicts import pairs
from serinus.delivery.verdicts.pairs import Pair
from serinus.wire import Answer, Arm, Cell, Event, Label, Prediction, Shadow

T = TypeVar("T")

MOST_WAITING = 20_000


class Recent(Generic[T]):
    """The newest values by id; the oldest make room."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._kept: dict[bytes, T] = {}

    def keep(self, key: bytes, value: T) -> None:
        """Keep a value, unless there is one already."""
        self._kept.setdefault(key, value)
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def take(self, key: bytes) -> T | None:
        """Take a value out; None if it is not there."""
        return self._kept.pop(key, None)


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair as it came: ``differs`` is None unless both answered.

    ``features`` and ``champion_us`` are those of the champion's event, None if it was not found.
    """

    prediction: bytes
    at: int
    pair: Pair
    differs: bool | None
    shadow_us: int
    features: tuple[Cell, ...] | None
    champion_us: int | None


@dataclass
class Joined:
    """What a batch of events adds."""

    pairs: list[Compared] = field(default_factory=list)
    clones: list[tuple[bool, bool]] = field(default_factory=list)
    """Of requests answered three times: whether the challenger and whether the clone differs."""
    labels: list[tuple[Answer, Answer, Answer]] = field(default_factory=list)
    """Champion's answer, challenger's answer, and the truth."""


class Joiner:
    """Joins a deployment's events in the order of the ledger.

    Args:
        deployment: whose.
        skipped: so many pairs, the oldest, are passed over.
    """

    def __init__(self, deployment: Deployment, skipped: int = 0) -> None:
        self._deployment = deployment
        self._skip = skipped
        self._mirrored = frozenset(
            number for number, step in enumerate(deployment.plan.steps) if step.mirror > 0
        )
        self._steps = len(deployment.plan.steps)
        self._asked: Recent[Prediction] = Recent()
        self._clones: Recent[bool] = Recent()
        self._early: Recent[Answer] = Recent()
        self._flips: dict[bytes, bool] = {}
        self._answers: dict[bytes, tuple[Answer, Answer]] = {}

    def join(self, records: Iterable[tuple[bytes, Event]]) -> Joined:
        """What these events add."""
        found = Joined()
        for identity, event in self._own(records):
            if isinstance(event, Shadow):
                if event.assignment.arm is Arm.CLONE:
                    self._clone(found, event)
                else:
                    self._pair(found, event)
            elif isinstance(event, Prediction):
                self._asked.keep(identity, event)
            elif isinstance(event, Label):
                self._label(found, event)
        return found

    def _own(self, records: Iterable[tuple[bytes, Event]]) -> Iterator[tuple[bytes, Event]]:
        """The events of steps in which requests are mirrored."""
        identity, mirrored, steps = self._deployment.id, self._mirrored, self._steps
        for record in records:
            event = record[1]
            if not isinstance(event, Prediction | Shadow | Label):
                continue
            given = event.assignment
            if given.deployment == identity and (given.step in mirrored or given.step >= steps):
                yield record

    def _pair(self, found: Joined, event: Shadow) -> None:
        asked = self._asked.take(event.prediction)
        if self._skip:
            self._skip -= 1
            return
        pair = pairs.pair_of(self._deployment, event)
        differs = pairs.flip_of(self._deployment.plan, event)
        found.pairs.append(
            Compared(
                event.prediction,
                event.at,
                pair,
                differs,
                event.latency_us,
                None if asked is None else asked.features,
                None if asked is None else asked.latency_us,
            )
        )
        if differs is None or pair.champion is None or pair.challenger is None:
            return
        clone = self._clones.take(event.prediction)
        if clone is not None:
            found.clones.append((differs, clone))
        else:
            self._flips[event.prediction] = differs
        answers = (pair.champion.value, pair.challenger.value)
        truth = self._early.take(event.prediction)
        if truth is not None:
            found.labels.append((*answers, truth))
        else:
            self._answers[event.prediction] = answers

    def _clone(self, found: Joined, event: Shadow) -> None:
        differs = pairs.flip_of(self._deployment.plan, event)
        if differs is None:
            return
        pair = self._flips.pop(event.prediction, None)
        if pair is not None:
            found.clones.append((pair, differs))
        else:
            self._clones.keep(event.prediction, differs)

    def _label(self, found: Joined, event: Label) -> None:
        answers = self._answers.pop(event.prediction, None)
        if answers is not None:
            found.labels.append((*answers, event.value))
        else:
            self._early.keep(event.prediction, event.value)
