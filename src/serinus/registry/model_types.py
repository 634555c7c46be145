"""What each type of model is held to, as data: the shipped types, or a file of one's own.

A type says three things: which gates a version must pass before it may meet traffic, how it is
brought to traffic where nobody says otherwise, and when it is taken back.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_type_hints

import msgspec

from serinus.errors import InvalidInput
from serinus.wire import BreakerRules

SHIPPED = Path(__file__).with_name("model_types.toml")

# Deeper than anybody nests types; a ring of them would never end.
_MOST_ANCESTORS = 10

Table: TypeAlias = Mapping[str, Any]
Task: TypeAlias = Literal["classification", "regression"]


class RollbackCriteria(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which vital signs must be back in their earlier range after a rollback, and how soon.

    Args:
        error_points: share of failing answers above the earlier range that still counts as back
            (0.01 is a point).
        latency_ratio: times the earlier p95 latency that still counts as back.
        quality_points: points of the loss above the earlier range (0.02 is two points of
            accuracy); None: labels come too late to say.
        value_loss: part of the business value below the earlier range (0.2 is a fifth); None:
            nobody reports values.
        verify_seconds: how long the signs may take; after it the model was not the cause.
    """

    error_points: float = 0.01
    latency_ratio: float = 1.5
    quality_points: float | None = 0.05
    value_loss: float | None = None
    verify_seconds: float = 300.0


class ModelType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a model of one type is held to.

    Args:
        task: what such a model does.
        least: metrics and the least value that passes.
        most: metrics and the greatest value that passes.
        benchmark: the metric that is compared with the champion's; empty is no comparison.
        tolerance: how much worse than the champion passes.
        latency_ms: the 95th percentile of single predictions that passes.
        size_mb: the size of the pickled model that passes, in millions of bytes.
        delivery: fields of a deployment's specification where the person who deploys says nothing.
        breaker: when a gateway asks a version no more.
        rollback: what must be well again after a rollback.
    """

    task: Task
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    benchmark: str = ""
    tolerance: float = 0.0
    latency_ms: float = 250.0
    size_mb: float = 500.0
    delivery: dict[str, Any] = {}
    breaker: BreakerRules = BreakerRules()
    rollback: RollbackCriteria = RollbackCriteria()


def load(path: Path | None = None) -> dict[str, ModelType]:
    """The model types by name: the shipped ones, and those of a TOML file above them.

    A table of the file replaces the shipped one of its name. ``like = "classification"`` takes
    over what another type says and this one does not.

    Raises:
        InvalidInput: the file cannot be read or is not of that form; every fault is listed.
    """
    tables = _read(SHIPPED)
    if path is not None:
        tables |= _read(path)
    known: dict[str, ModelType] = {}
    faults: list[str] = []
    for name in tables:
        found, wrong = _decode(_complete(name, tables, faults))
        faults += [f"{name}: {fault}" for fault in wrong]
        if found is not None:
            known[name] = found
    if faults:
        raise InvalidInput(
            "the model types cannot be used",
            where=str(path or SHIPPED),
            faults=list(dict.fromkeys(faults)),
            remedy="Correct these tables; docs/reference/plans.md shows one in full.",
        )
    return known


def choose(types: Mapping[str, ModelType], name: str | None, task: str) -> ModelType:
    """The type of that name; None is the task's own.

    Raises:
        InvalidInput: there is no such type, or it is of another task.
    """
    name = name or task
    found = types.get(name)
    fitting = sorted(key for key, kind in types.items() if kind.task == task)
    if found is None or found.task != task:
        what = "is not known" if found is None else f"is of {found.task}, the target of {task}"
        raise InvalidInput(
            f"the model type {name!r} {what}",
            where="model_type",
            remedy=f"For this target use one of: {', '.join(fitting)}.",
        )
    return found


def type_of(types: Mapping[str, ModelType], name: str, task: str) -> ModelType:
    """The type of a registered model; of a name that nobody knows, or of another task, the task's.

    Imported models carry whatever their makers called them, so nothing is refused here.
    """
    found = types.get(name)
    return found if found is not None and found.task == task else types[task]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"the model types cannot be read ({error})",
            where=str(path),
            remedy="Write a TOML table for each type; docs/reference/plans.md shows one in full.",
        ) from error


def _complete(name: str, tables: Table, faults: list[str]) -> dict[str, Any]:
    """A type's table over those that it is like."""
    found: dict[str, Any] = {}
    seen = [name]
    while True:
        table = tables[seen[-1]]
        if not isinstance(table, dict):
            faults.append(f"{seen[-1]}: must be a table of settings")
            return found
        found = _under(found, {key: value for key, value in table.items() if key != "like"})
        like = table.get("like")
        if like is None:
            return found
        if like not in tables or like in seen or len(seen) > _MOST_ANCESTORS:
            faults.append(f"{name}: like = {like!r} names no other type")
            return found
        seen.append(like)


def _under(above: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    """One table over another, tables within them as well; gates are taken over whole."""
    merged = {**below, **above}
    for name in ("delivery", "breaker", "rollback"):
        own, other = above.get(name), below.get(name)
        if isinstance(own, dict) and isinstance(other, dict):
            merged[name] = {**other, **own}
    return merged


def _decode(table: dict[str, Any]) -> tuple[ModelType | None, list[str]]:
    """A type and every fault of its table, where msgspec would tell the first only."""
    faults = []
    if "task" not in table:
        faults.append("task: missing, say classification or regression")
    for place, kind, given in (
        ("", ModelType, table),
        ("breaker.", BreakerRules, table.get("breaker", {})),
        ("rollback.", RollbackCriteria, table.get("rollback", {})),
    ):
        faults += [f"{place}{fault}" for fault in _faults(kind, given)]
    faults += _out_of_bounds(table) if not faults else []
    return (None, faults) if faults else (msgspec.convert(table, ModelType), [])


def _faults(kind: type[Any], given: Any) -> list[str]:
    if not isinstance(given, dict):
        return []  # told as a fault of the table that it stands in
    hints = get_type_hints(kind)
    faults = []
    for name, value in given.items():
        if name not in hints:
            faults.append(f"{name}: there is no such setting; there are {', '.join(hints)}")
            continue
        if hints[name] in (BreakerRules, RollbackCriteria) and isinstance(value, dict):
            continue  # told of each of its settings
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            faults.append(f"{name}: {str(error)[0].lower()}{str(error)[1:]}")
    return faults


def _out_of_bounds(table: dict[str, Any]) -> list[str]:
    found = msgspec.convert(table, ModelType)
    breaker, rollback = found.breaker, found.rollback
    bounds = {
        "latency_ms: must be above 0": found.latency_ms > 0,
        "size_mb: must be above 0": found.size_mb > 0,
        "tolerance: must not be negative": found.tolerance >= 0,
        "breaker.rows: must be at least 1": breaker.rows >= 1,
        "breaker.failing_share: must be above 0, at most 1": 0 < breaker.failing_share <= 1,
        "breaker.window_seconds: must be above 0": breaker.window_seconds > 0,
        "breaker.rest_seconds: must be above 0": breaker.rest_seconds > 0,
        "breaker.longest_rest_seconds: must be at least rest_seconds": (
            breaker.longest_rest_seconds >= breaker.rest_seconds
        ),
        "breaker.probes: must be at least 1": breaker.probes >= 1,
        "rollback.error_points: must lie between 0 and 1": 0 <= rollback.error_points <= 1,
        "rollback.latency_ratio: must be at least 1": rollback.latency_ratio >= 1,
        "rollback.quality_points: must lie between 0 and 1": (
            rollback.quality_points is None or 0 <= rollback.quality_points <= 1
        ),
        "rollback.value_loss: must lie between 0 and 1": (
            rollback.value_loss is None or 0 <= rollback.value_loss <= 1
        ),
        "rollback.verify_seconds: must be above 0": rollback.verify_seconds > 0,
    }
    return [text for text, kept in bounds.items() if not kept]
