"""A version's signs of life as sums: any order and any cut of the events gives the same. Pure.

Latencies and numeric answers are counted in sixteenths of an octave (4.4 % wide), so that shares
beyond any threshold can be had later from a few dozen whole numbers, whatever the model's scale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isnan
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.verdicts import evidence as ev
from serinus.wire import FORCED, Arm, Assignment, Event, Failure, Label, Prediction, Value

BUCKET_SECONDS = 10
PER_OCTAVE = 16
_BUCKET_US = BUCKET_SECONDS * 1_000_000
# Answers that are not numbers are told apart up to so many; the rest counts as one.
_MOST_CLASSES = 64
REST = "…"
# Numbers beyond 2^±60 are as good as infinite or nought.
_FARTHEST = 60 * PER_OCTAVE
_OFFSET = _FARTHEST + 1
_WIDTH = 4 * _OFFSET


class Key(NamedTuple):
    """Whose signs of life, from when (seconds since 1970) and for how many seconds."""

    model: str
    version: str
    start: int
    seconds: int


class Counts(msgspec.Struct, array_like=True):
    """What is counted of one version in one stretch of time.

    Attributes:
        requests: those that were the version's to answer.
        failures: how many of these it failed, whoever answered in its place.
        answered: answers that were this version's, in another's place as well.
        latency: its own answers by :func:`octaves` of their microseconds.
        classes: its answers that are no numbers, by their text.
        numbers: its answers that are numbers, by :func:`signed_octaves`.
        labelled: labels that came for its answers.
        loss: their loss: 1 for a wrong class, the absolute error of a number.
        loss_squares: of each label's loss.
        valued: business values that came.
        value: their sum.
        value_squares: of each value.
    """

    requests: int = 0
    failures: int = 0
    answered: int = 0
    latency: dict[int, int] = {}
    classes: dict[str, int] = {}
    numbers: dict[int, int] = {}
    labelled: int = 0
    loss: float = 0.0
    loss_squares: float = 0.0
    valued: int = 0
    value: float = 0.0
    value_squares: float = 0.0


Asked: TypeAlias = Callable[[Assignment], str | None]
"""The version that a request of a deployment was drawn for; None if nobody knows any more."""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Counts)


def encode(counts: Counts) -> bytes:
    """As few bytes as it takes."""
    return _encode(counts)


def decode(data: bytes) -> Counts:
    """What :func:`encode` made."""
    return _decoder.decode(data)


def total(parts: Iterable[Counts]) -> Counts:
    """All of them together."""
    found = Counts()
    latency, classes, numbers = Counter[int](), Counter[str](), Counter[int]()
    for part in parts:
        found.requests += part.requests
        found.failures += part.failures
        found.answered += part.answered
        found.labelled += part.labelled
        found.loss += part.loss
        found.loss_squares += part.loss_squares
        found.valued += part.valued
        found.value += part.value
        found.value_squares += part.value_squares
        latency.update(part.latency)
        classes.update(part.classes)
        numbers.update(part.numbers)
    found.latency, found.numbers = dict(latency), dict(numbers)
    kept = classes.most_common(_MOST_CLASSES)
    found.classes = dict(kept)
    if len(classes) > len(kept):
        found.classes[REST] = (
            found.classes.get(REST, 0) + classes.total() - sum(found.classes.values())
        )
    return found


def octaves(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The sixteenth of an octave that each positive number is in; what is below 1 is in 0."""
    with np.errstate(invalid="ignore"):
        found = np.floor(PER_OCTAVE * np.log2(np.maximum(values, 1.0)))
    level: NDArray[np.int64] = np.clip(np.nan_to_num(found), 0, _FARTHEST).astype(np.int64)
    return level


def signed_octaves(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The same for numbers of any sign and size, rising with them; 0 for nought and no number."""
    size = np.abs(np.nan_to_num(values))
    with np.errstate(divide="ignore"):
        place = np.floor(PER_OCTAVE * np.log2(size))
    place = np.clip(place, -_FARTHEST, _FARTHEST).astype(np.int64) + _OFFSET
    return np.where(size > 0, np.sign(values) * place, 0).astype(np.int64)


def number_at(level: int) -> float:
    """The number at the upper end of a level of :func:`signed_octaves` (lower, where negative)."""
    if level == 0:
        return 0.0
    edge = abs(level) - _OFFSET + (1 if level > 0 else 0)
    return float(np.sign(level) * 2.0 ** (edge / PER_OCTAVE))


# ------------------------------------------------------------------ from events


def fold(
    events: Iterable[Event], asked: Asked, key: Callable[[str, str, int], Key]
) -> dict[Key, Counts]:
    """What events add.

    Args:
        events: any; shadows, and what :func:`is_aside`, are nobody's signs of life.
        asked: who was asked where another answered.
        key: where a version's event of a time (microseconds since 1970) is counted.
    """
    served: list[Prediction] = []
    others: list[Prediction | Failure] = []
    told: list[Label | Value] = []
    for event in events:
        if isinstance(event, Prediction):
            if not is_aside(event.assignment):
                (others if event.fallback else served).append(event)
        elif isinstance(event, Failure):
            if not is_aside(event.assignment):
                others.append(event)
        elif isinstance(event, Label | Value) and not is_aside(event.assignment):
            told.append(event)
    found: dict[Key, Counts] = {}
    _serve(found, served, key)
    for event in others:
        _fail(found, event, asked, key)
    for event in told:
        _tell(found, event, key)
    return found


def is_aside(assignment: Assignment) -> bool:
    """Whether a request says nothing of a version's life: at the staging endpoint, or by a tester.

    A tester names who shall answer; its request names no deployment, though one shares out the
    traffic. Where nothing is shared out only the step tells, which older ledgers do not.
    """
    if assignment.step == FORCED or assignment.arm is Arm.STAGING:
        return True
    drawn = bool(assignment.deployment)
    return not drawn and (assignment.share > 0.0 or assignment.arm is Arm.CHALLENGER)


def _serve(
    found: dict[Key, Counts], served: Sequence[Prediction], key: Callable[[str, str, int], Key]
) -> None:
    """Answers without a fault, all at once: a busy installation has thousands in a batch."""
    if not served:
        return
    places: dict[tuple[str, str, int], int] = {}
    where = np.fromiter(
        (
            places.setdefault(
                (item.assignment.model, item.version, item.at // _BUCKET_US), len(places)
            )
            for item in served
        ),
        np.int64,
        len(served),
    )
    groups = [
        found.setdefault(key(model, version, bucket * _BUCKET_US), _none())
        for model, version, bucket in places
    ]
    for group, number in zip(
        groups, np.bincount(where, minlength=len(groups)).tolist(), strict=True
    ):
        group.requests += number
        group.answered += number
    latency = np.fromiter((item.latency_us for item in served), np.float64, len(served))
    for place, level, number in _cells(where, octaves(latency)):
        kept = groups[place].latency
        kept[level] = kept.get(level, 0) + number
    answers = [item.output.value for item in served]
    is_number = np.fromiter((type(item) is float for item in answers), np.bool_, len(answers))
    if is_number.any():
        numbers = np.fromiter((item for item in answers if type(item) is float), np.float64)
        for place, level, number in _cells(where[is_number], signed_octaves(numbers)):
            kept = groups[place].numbers
            kept[level] = kept.get(level, 0) + number
    if not is_number.all():
        texts = Counter(zip(where.tolist(), answers, strict=True))
        for (place, answer), number in texts.items():
            if type(answer) is not float:
                _classes(groups[place], str(answer), number)


def _cells(where: NDArray[np.int64], level: NDArray[np.int64]) -> Iterable[tuple[int, int, int]]:
    """How often each level was seen in each group."""
    cells, numbers = np.unique(where * _WIDTH + level + _WIDTH // 2, return_counts=True)
    group, found = np.divmod(cells, _WIDTH)
    return zip(group.tolist(), (found - _WIDTH // 2).tolist(), numbers.tolist(), strict=True)


def _classes(counts: Counts, answer: str, number: int) -> None:
    if answer not in counts.classes and len(counts.classes) >= _MOST_CLASSES:
        answer = REST
    counts.classes[answer] = counts.classes.get(answer, 0) + number


def _fail(
    found: dict[Key, Counts],
    event: Prediction | Failure,
    asked: Asked,
    key: Callable[[str, str, int], Key],
) -> None:
    """A request that its version failed, whether or not another answered in its place."""
    assigned = event.assignment
    failed = asked(assigned) if event.fallback else event.version
    if failed is not None:
        counts = found.setdefault(key(assigned.model, failed, event.at), _none())
        counts.requests += 1
        counts.failures += 1
    if isinstance(event, Prediction):
        found.setdefault(key(assigned.model, event.version, event.at), _none()).answered += 1


def _tell(
    found: dict[Key, Counts], event: Label | Value, key: Callable[[str, str, int], Key]
) -> None:
    """What came of an answer counts where the answer was given, however late it is known."""
    told = ev.number(event.value) if isinstance(event, Value) else _loss(event)
    if isnan(told):
        return
    place = key(event.assignment.model, event.version, event.predicted_at)
    counts = found.setdefault(place, _none())
    if isinstance(event, Value):
        counts.valued += 1
        counts.value += told
        counts.value_squares += told**2
        return
    counts.labelled += 1
    counts.loss += told
    counts.loss_squares += told**2


def _loss(event: Label) -> float:
    """The loss of an answer; NaN where it is a number and what came is none."""
    answer, truth = event.output.value, event.value
    if type(answer) is float:
        return ev.distance(answer, truth)
    return float(not ev.same(answer, truth))


def _none() -> Counts:
    return Counts(latency={}, classes={}, numbers={})
