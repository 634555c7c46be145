"""The success metrics: what one request adds to its unit's numerator and denominator. Pure.

Every metric is a ratio of two sums over units. Precision, recall and F1 are such ratios as well,
of counts that each request adds to, so that one delta method serves all of them, by request or
by entity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from serinus.delivery.verdicts import evidence as ev
from serinus.errors import InvalidInput
from serinus.wire import Answer

Source = Literal["label", "value", "latency"]
Task = Literal["classification", "regression"]
Parts = tuple[float, float]
"""What a request adds to its unit's numerator and denominator."""

_Score = Callable[[Answer, Answer, Answer | None], Parts]


@dataclass(frozen=True)
class _Kind:
    """What is common to all experiments with a metric of this name.

    Attributes:
        source: what must be known beside the answer.
        unit: what it is counted in, for people.
        task: whose answers it can be computed of; None is any.
        score: of an answer, what came of it, and the positive class.
        rises: whether more of it is better.
        per_unit: whether the denominator is the unit itself (an entity counts as one), not its
            requests.
        spread: whether the distributions of units' values are kept and compared.
    """

    source: Source
    unit: str
    task: Task | None
    score: _Score
    rises: bool
    per_unit: bool = False
    spread: bool = False


def _accuracy(answer: Answer, truth: Answer, positive: Answer | None) -> Parts:
    return float(ev.same(answer, truth)), 1.0


def _precision(answer: Answer, truth: Answer, positive: Answer | None) -> Parts:
    claimed = _is(answer, positive)
    return float(claimed and _is(truth, positive)), float(claimed)


def _recall(answer: Answer, truth: Answer, positive: Answer | None) -> Parts:
    true = _is(truth, positive)
    return float(true and _is(answer, positive)), float(true)


def _f1(answer: Answer, truth: Answer, positive: Answer | None) -> Parts:
    claimed, true = _is(answer, positive), _is(truth, positive)
    return 2.0 * float(claimed and true), float(claimed) + float(true)


def _squared(answer: Answer, truth: Answer, positive: Answer | None) -> Parts:
    return ev.distance(answer, truth) ** 2, 1.0


def _absolute(answer: Answer, truth: Answer, positive: Answer | None) -> Parts:
    return ev.distance(answer, truth), 1.0


def _worth(answer: Answer, worth: Answer, positive: Answer | None) -> Parts:
    return ev.number(worth), 1.0


def _converted(answer: Answer, worth: Answer, positive: Answer | None) -> Parts:
    return float(ev.number(worth) > 0.0), 1.0


def _is(value: Answer, positive: Answer | None) -> bool:
    return positive is not None and ev.same(value, positive)


_CLASSES: Task = "classification"
_KINDS: dict[str, _Kind] = {
    "accuracy": _Kind("label", "", _CLASSES, _accuracy, rises=True),
    "precision": _Kind("label", "", _CLASSES, _precision, rises=True),
    "recall": _Kind("label", "", _CLASSES, _recall, rises=True),
    "f1": _Kind("label", "", _CLASSES, _f1, rises=True),
    "mse": _Kind("label", "", "regression", _squared, rises=False, spread=True),
    "mae": _Kind("label", "", "regression", _absolute, rises=False, spread=True),
    "latency": _Kind("latency", "ms", None, _worth, rises=False, spread=True),
    "conversion": _Kind("value", "", None, _converted, rises=True, per_unit=True),
    "revenue": _Kind("value", "", None, _worth, rises=True, per_unit=True, spread=True),
}
NAMES = tuple(_KINDS)
COUNTED_ONCE = tuple(name for name, kind in _KINDS.items() if kind.per_unit)
"""Of these a unit counts once, whatever the number of its requests."""
_ASKS_A_CLASS = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Metric:
    """A success metric of one experiment. ``positive`` is the class that it asks about, if any."""

    name: str
    positive: Answer | None = None

    @property
    def title(self) -> str:
        """Its name, with the class that it asks about."""
        return self.name if self.positive is None else f"{self.name} of {self.positive}"

    @property
    def source(self) -> Source:
        """What must be known beside the answer."""
        return _KINDS[self.name].source

    @property
    def rises(self) -> bool:
        """Whether more of it is better."""
        return _KINDS[self.name].rises

    @property
    def unit(self) -> str:
        """What it is counted in, empty for a plain number."""
        return _KINDS[self.name].unit

    @property
    def spread(self) -> bool:
        """Whether whole distributions are compared beside the means."""
        return _KINDS[self.name].spread

    @property
    def per_unit(self) -> bool:
        """Whether it is counted by unit whatever the number of its requests."""
        return _KINDS[self.name].per_unit

    def parts(self, answer: Answer, outcome: Answer) -> Parts | None:
        """What a request adds; None if it says nothing (an answer that is no number, say)."""
        found = _KINDS[self.name].score(answer, outcome, self.positive)
        return found if abs(found[0]) < float("inf") else None

    def of_unit(self, y: float, requests: float) -> Parts:
        """A unit's numerator and denominator, from the sums over its requests."""
        if not self.per_unit:
            return y, requests
        # Who bought twice has converted once.
        return (min(y, 1.0) if self.name == "conversion" else y), 1.0


def fitting(task: str | None) -> list[str]:
    """The names of what can be measured of a task; None is any."""
    return [name for name, kind in _KINDS.items() if task is None or kind.task in (None, task)]


def faults(text: str, task: str, classes: Sequence[Answer]) -> list[str]:
    """What is wrong with a success metric for a model; none if it can be measured."""
    name, colon, wanted = text.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        return [f"metric: {name!r} is none; choose from {', '.join(NAMES)}"]
    if kind.task not in (None, task):
        return [
            f"metric: {name} is not measured of a {task}; choose from {', '.join(fitting(task))}"
        ]
    if colon and name not in _ASKS_A_CLASS:
        return [f"metric: {name} takes no class"]
    named = ", ".join(str(item) for item in classes)
    if colon and not any(ev.same(item, wanted) for item in classes):
        return [f"metric: {wanted!r} is no class of this model; it has {named}"]
    if not colon and name in _ASKS_A_CLASS and len(classes) != 2:
        return [f"metric: of which class? Write {name}:CLASS, one of {named}"]
    return []


def parse(text: str, task: str, classes: Sequence[Answer]) -> Metric:
    """The metric that ``recall``, ``recall:fraud``, ``revenue`` … mean for a model.

    Precision, recall and F1 ask about the second of two classes unless one is named.

    Raises:
        InvalidInput: it cannot be measured of this model.
    """
    wrong = faults(text, task, classes)
    if wrong:
        raise InvalidInput("this success metric cannot be used", where="metric", faults=wrong)
    name, _, wanted = text.partition(":")
    if name not in _ASKS_A_CLASS:
        return Metric(name)
    if not wanted:
        return Metric(name, classes[1])
    return Metric(name, next(item for item in classes if ev.same(item, wanted)))
