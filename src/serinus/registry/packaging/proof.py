"""Whether a graph is the version: compared, on the gateway's own runtimes, answer by answer."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serinus import clock, wire
from serinus.registry.packaging.types import Row
from serinus.serving.runtimes.types import Runtime
from serinus.serving.types import Outcome

SIZES = (1, 32, 1_000)
"""Rows of a call whose speed is measured."""

_SINGLES = 64
_BATCH = 256
_TIMED_SECONDS = 0.1
_TIMED_CALLS = 7


@dataclass(frozen=True)
class Difference:
    """What sets two forms of a version apart.

    Args:
        largest: difference of a score, or of a value relative to its size.
        fault: the first answer that may not differ and does, in words; empty if there is none.
    """

    largest: float
    fault: str = ""


@dataclass(frozen=True)
class Asked:
    """Rows, and what the original made of them.

    Args:
        rows: of them.
        answers: the original's, None where it raises.
        are_real: whether they are from real data. Of others, those that the original refuses are
            not compared, and two classes may change places if their scores are the same within
            the tolerance.
    """

    rows: Sequence[Row]
    answers: Sequence[Outcome | None]
    are_real: bool


def ask(original: Runtime, rows: Sequence[Row], *, are_real: bool) -> Asked:
    """The original's answers to rows."""
    return Asked(rows, _answers(original, rows), are_real)


def compare(asked: Asked, graph: Runtime, tolerance: float) -> Difference:
    """Compare a graph's answers, in batches and one by one, with the original's.

    Args:
        asked: the original's answers.
        graph: what shall stand for it.
        tolerance: largest difference that is allowed.
    """
    scale = _scale(asked.answers)
    batched = _answers(graph, asked.rows)
    alone = [_one(graph, row) for row in asked.rows[:_SINGLES]]
    largest = 0.0
    pairs = itertools.chain(
        zip(asked.rows, asked.answers, batched, strict=True),
        zip(asked.rows[:_SINGLES], asked.answers[:_SINGLES], alone, strict=True),
    )
    for row, theirs, ours in pairs:
        if theirs is None and not asked.are_real and not _lacks(row):
            continue
        apart, fault = _between(theirs, ours, scale)
        largest = max(largest, apart)
        changed_places = (
            fault and not asked.are_real and _is_tie(theirs, ours, max(tolerance, apart))
        )
        if apart > tolerance:
            return Difference(apart, f"a difference of {apart:.2g} where {_told(theirs)} was due")
        if fault and not changed_places:
            return Difference(largest, fault)
    return Difference(largest)


def microseconds(runtime: Runtime, rows: Sequence[Row]) -> dict[str, float]:
    """Median processor time of a call by its number of rows: others may keep the machine busy."""
    found: dict[str, float] = {}
    source = itertools.cycle(rows)
    for size in SIZES:
        batch = list(itertools.islice(source, size))
        found[str(size)] = _median(lambda batch=batch: runtime.answer(batch))  # type: ignore[misc]
    return found


def numbers_of(original: Runtime) -> Callable[[Sequence[Row]], list[tuple[float, ...] | None]]:
    """The original's scores or values; a class alone tells nothing of how near another one is."""

    def numbers(rows: Sequence[Row]) -> list[tuple[float, ...] | None]:
        found: list[tuple[float, ...] | None] = []
        for outcome in _answers(original, rows):
            if not isinstance(outcome, wire.Output):
                found.append(None)
            elif original.manifest.task == "regression":
                found.append((float(outcome.value),))
            else:
                found.append(outcome.scores or None)
        return found

    return numbers


def _median(call: Callable[[], object]) -> float:
    took: list[float] = []
    call()
    until = clock.monotonic() + _TIMED_SECONDS
    while len(took) < _TIMED_CALLS or clock.monotonic() < until:
        before = clock.processor()
        call()
        took.append(clock.processor() - before)
        if len(took) == 1 and took[0] > _TIMED_SECONDS:
            break
    return statistics.median(took) * 1e6


def _answers(runtime: Runtime, rows: Sequence[Row]) -> list[Outcome | None]:
    found: list[Outcome | None] = []
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        try:
            found += runtime.answer(batch)
        except Exception:  # one row of them does it: which?
            found += [_one(runtime, row) for row in batch]
    return found


def _one(runtime: Runtime, row: Row) -> Outcome | None:
    try:
        return runtime.answer([row])[0]
    except Exception:  # whatever a model raises is its refusal of the row
        return None


def _scale(answers: Sequence[Outcome | None]) -> float:
    """The mean size of values, which a difference of values is relative to."""
    values = [
        abs(answer.value)
        for answer in answers
        if isinstance(answer, wire.Output)
        and isinstance(answer.value, float)
        and not answer.scores
        and abs(answer.value) < 1e30
    ]
    return statistics.fmean(values) if values else 1.0


def _between(theirs: Outcome | None, ours: Outcome | None, scale: float) -> tuple[float, str]:
    """The difference of two answers, and what differs that may not."""
    if not isinstance(theirs, wire.Output) or not isinstance(ours, wire.Output):
        both_fail = not isinstance(theirs, wire.Output) and not isinstance(ours, wire.Output)
        return 0.0, "" if both_fail else f"{_told(ours)} where {_told(theirs)} was due"
    if isinstance(theirs.value, float) and isinstance(ours.value, float) and not theirs.scores:
        size = max(abs(theirs.value), scale) or 1.0
        return abs(theirs.value - ours.value) / size, ""
    if len(theirs.scores) != len(ours.scores):
        return 0.0, f"{len(ours.scores)} scores where {len(theirs.scores)} were due"
    apart = max((abs(a - b) for a, b in zip(theirs.scores, ours.scores, strict=True)), default=0.0)
    same = theirs.value == ours.value
    return apart, "" if same else f"{_told(ours)} where {_told(theirs)} was due"


def _is_tie(theirs: Outcome | None, ours: Outcome | None, tolerance: float) -> bool:
    """Whether two answers differ in the class alone, and the original's two best are one."""
    if not isinstance(theirs, wire.Output) or not isinstance(ours, wire.Output):
        return False
    best = sorted(theirs.scores)[-2:]
    return len(best) == 2 and best[1] - best[0] <= 2 * tolerance


def _lacks(row: Row) -> bool:
    return None in row


def _told(outcome: Outcome | None) -> str:
    if outcome is None:
        return "a refusal"
    return repr(outcome.value) if isinstance(outcome, wire.Output) else outcome
