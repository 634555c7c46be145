"""The rows of monitoring: profiles, judged windows, labels and performance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Connection, Row, Table, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serinus import clock
from serinus.monitoring import traffic
from serinus.monitoring.performance import Expected, Sums
from serinus.monitoring.profile import Window
from serinus.monitoring.rise import Rise, Watched
from serinus.monitoring.types import DriftWindow
from serinus.stats import conformal
from serinus.store import schema
from serinus.wire import Label, Manifest

_PROFILES = schema.profiles
_DRIFT = schema.drift_windows
_LABELS = schema.labels
_RISES = schema.rises
_PERFORMANCE = schema.performance_windows
_VERSIONS = schema.model_versions
_CHUNK = 500


# ------------------------------------------------------------------ profiles


def newest_window(connection: Connection, model: str, version: str) -> Window | None:
    """The last window of a version, open or closed."""
    found = connection.execute(
        select(_PROFILES)
        .where(_PROFILES.c.model == model, _PROFILES.c.version == version)
        .order_by(_PROFILES.c.window.desc())
        .limit(1)
    ).first()
    return None if found is None else _window(found)


def window(connection: Connection, model: str, version: str, number: int) -> Window | None:
    """One window of a version."""
    found = connection.execute(
        select(_PROFILES).where(
            _PROFILES.c.model == model,
            _PROFILES.c.version == version,
            _PROFILES.c.window == number,
        )
    ).first()
    return None if found is None else _window(found)


def save_windows(connection: Connection, windows: Sequence[Window]) -> None:
    """Store windows, new or grown."""
    rows = [
        {
            "model": item.model,
            "version": item.version,
            "window": item.number,
            "opened_at": clock.from_epoch_us(item.opened_at),
            "closed_at": None if item.closed_at is None else clock.from_epoch_us(item.closed_at),
            "rows": item.rows,
            "counts": {
                "reference": item.reference,
                "columns": {name: counts.tolist() for name, counts in item.counts.items()},
                "traffic": traffic.to_dict(item.traffic),
            },
        }
        for item in windows
    ]
    _upsert(connection, _PROFILES, rows)
    for item in windows:
        if item.closed_at is not None:
            connection.execute(
                update(_PERFORMANCE)
                .where(
                    _PERFORMANCE.c.model == item.model,
                    _PERFORMANCE.c.version == item.version,
                    _PERFORMANCE.c.window == item.number,
                )
                .values(closed_at=clock.from_epoch_us(item.closed_at))
            )


def _window(row: Row[Any]) -> Window:
    counts = row.counts["columns"]
    opened_at = clock.to_epoch_us(row.opened_at)
    closed_at = None if row.closed_at is None else clock.to_epoch_us(row.closed_at)
    last_at = opened_at if closed_at is None else closed_at
    return Window(
        row.model,
        row.version,
        row.window,
        row.counts["reference"],
        opened_at,
        closed_at,
        row.rows,
        {name: np.array(held, np.int64) for name, held in counts.items()},
        traffic.from_dict(row.counts.get("traffic"), last_at),
    )


def recent_windows(connection: Connection, model: str, since: datetime) -> list[Window]:
    """All windows of a model's versions that were open at that moment or later."""
    query = select(_PROFILES).where(
        _PROFILES.c.model == model,
        or_(_PROFILES.c.closed_at.is_(None), _PROFILES.c.closed_at > since),
    )
    return [_window(row) for row in connection.execute(query)]


# ------------------------------------------------------------------ drift


def save_drift(connection: Connection, windows: Sequence[DriftWindow]) -> None:
    """Store judged windows."""
    rows = []
    for item in windows:
        row = msgspec.structs.asdict(item)
        deviations = row.pop("deviations")
        row["distances"] = {
            name: {"distance": distance, "deviation": deviations[name]}
            for name, distance in item.distances.items()
        }
        rows.append(row)
    _upsert(connection, _DRIFT, rows)


def drift_windows(
    connection: Connection, model: str, version: str | None = None, *, limit: int
) -> list[DriftWindow]:
    """Judged windows of a model, newest first."""
    query = select(_DRIFT).where(_DRIFT.c.model == model)
    if version is not None:
        query = query.where(_DRIFT.c.version == version)
    query = query.order_by(_DRIFT.c.closed_at.desc(), _DRIFT.c.window.desc()).limit(limit)
    return [_drift(row) for row in connection.execute(query)]


def calibrating_windows(connection: Connection, model: str, version: str) -> list[DriftWindow]:
    """The version's judged windows since its last alarm, oldest first, as many as count."""
    alarm = last_alarm(connection, model, version)
    query = select(_DRIFT).where(_DRIFT.c.model == model, _DRIFT.c.version == version)
    if alarm is not None:
        query = query.where(_DRIFT.c.window > alarm.window)
    query = query.order_by(_DRIFT.c.window.desc()).limit(conformal.CAP - 1)
    return [_drift(row) for row in connection.execute(query)][::-1]


def alarm_run(connection: Connection, alarm: DriftWindow) -> list[DriftWindow]:
    """The windows from the alarm before (excluded) to this one, oldest first."""
    same = and_(_DRIFT.c.model == alarm.model, _DRIFT.c.version == alarm.version)
    before = connection.execute(
        select(func.max(_DRIFT.c.window)).where(
            same, _DRIFT.c.alarm.is_(True), _DRIFT.c.window < alarm.window
        )
    ).scalar()
    query = (
        select(_DRIFT)
        .where(same, _DRIFT.c.window <= alarm.window)
        .where(_DRIFT.c.window > (-1 if before is None else before))
        .order_by(_DRIFT.c.window.desc())
        .limit(conformal.CAP)
    )
    return [_drift(row) for row in connection.execute(query)][::-1]


def last_alarm(connection: Connection, model: str, version: str) -> DriftWindow | None:
    """The newest alarm of a version."""
    found = connection.execute(
        select(_DRIFT)
        .where(_DRIFT.c.model == model, _DRIFT.c.version == version, _DRIFT.c.alarm.is_(True))
        .order_by(_DRIFT.c.window.desc())
        .limit(1)
    ).first()
    return None if found is None else _drift(found)


def progress(
    connection: Connection, model: str, version: str, alarm: DriftWindow | None
) -> tuple[int, float]:
    """How many windows were judged since the alarm, and the evidence that they add up to."""
    query = select(_DRIFT.c.detector, func.count().over()).where(
        _DRIFT.c.model == model,
        _DRIFT.c.version == version,
        _DRIFT.c.window > (-1 if alarm is None else alarm.window),
    )
    found = connection.execute(query.order_by(_DRIFT.c.window.desc()).limit(1)).first()
    return (0, 0.0) if found is None else (found[1], found[0])


def _drift(row: Row[Any]) -> DriftWindow:
    values = dict(row._mapping)
    parts = values.pop("distances")
    return DriftWindow(
        **values,
        distances={name: part["distance"] for name, part in parts.items()},
        deviations={name: part["deviation"] for name, part in parts.items()},
    )


# ------------------------------------------------------------------ labels and performance


def save_labels(connection: Connection, labels: Iterable[Label]) -> list[Label]:
    """Store labels, one a prediction: the first that came stays. Returns those that were new."""
    first: dict[bytes, Label] = {}
    for label in labels:
        first.setdefault(label.prediction, label)
    ids = list(first)
    for start in range(0, len(ids), _CHUNK):
        known = select(_LABELS.c.prediction).where(
            _LABELS.c.prediction.in_(ids[start : start + _CHUNK])
        )
        for found in connection.execute(known).scalars():
            first.pop(bytes(found), None)
    rows = [
        {
            "prediction": label.prediction,
            "model": label.assignment.model,
            "version": label.version,
            "predicted_at": clock.from_epoch_us(label.predicted_at),
            "labelled_at": clock.from_epoch_us(label.at),
            "value": label.value,
        }
        for label in first.values()
    ]
    if rows:
        connection.execute(_LABELS.insert(), rows)
    return list(first.values())


def window_starts(connection: Connection, model: str, version: str) -> list[tuple[int, int]]:
    """Number and opening (epoch microseconds) of a version's newest windows, oldest first."""
    query = (
        select(_PROFILES.c.window, _PROFILES.c.opened_at)
        .where(_PROFILES.c.model == model, _PROFILES.c.version == version)
        .order_by(_PROFILES.c.window.desc())
        .limit(conformal.CAP)
    )
    found = [(row.window, clock.to_epoch_us(row.opened_at)) for row in connection.execute(query)]
    return found[::-1]


def add_performance(
    connection: Connection, model: str, version: str, added: Mapping[int, Sums]
) -> None:
    """Add labels' sums to the windows, by number, that their predictions were made in."""
    same = (_PERFORMANCE.c.model == model, _PERFORMANCE.c.version == version)
    held = {
        row.window: _sums(row)
        for row in connection.execute(
            select(_PERFORMANCE).where(*same, _PERFORMANCE.c.window.in_(list(added)))
        )
    }
    spans = {
        row.window: row
        for row in connection.execute(
            select(_PROFILES.c.window, _PROFILES.c.opened_at, _PROFILES.c.closed_at).where(
                _PROFILES.c.model == model,
                _PROFILES.c.version == version,
                _PROFILES.c.window.in_(list(added)),
            )
        )
    }
    rows = []
    for number, sums in added.items():
        values = msgspec.structs.asdict(held.get(number, Sums()) + sums)
        rows.append(
            {
                "model": model,
                "version": version,
                "window": number,
                "opened_at": spans[number].opened_at,
                "closed_at": spans[number].closed_at,
                "rows": values.pop("rows"),
                "sums": values,
            }
        )
    _upsert(connection, _PERFORMANCE, rows)


def performance_rows(
    connection: Connection, model: str, version: str | None = None, *, limit: int
) -> list[tuple[Row[Any], Sums]]:
    """Performance windows of a model, newest first, with their sums."""
    query = select(_PERFORMANCE).where(_PERFORMANCE.c.model == model)
    if version is not None:
        query = query.where(_PERFORMANCE.c.version == version)
    query = query.order_by(_PERFORMANCE.c.opened_at.desc()).limit(limit)
    return [(row, _sums(row)) for row in connection.execute(query)]


def newest_labelled(
    connection: Connection, model: str, version: str, *, limit: int
) -> tuple[int, Sums]:
    """The answers of a version's newest windows that have labels, and what those add up to."""
    keys = ("model", "version", "window")
    joined = and_(*(_PERFORMANCE.c[name] == _PROFILES.c[name] for name in keys))
    query = (
        select(_PERFORMANCE, _PROFILES.c.rows.label("answers"))
        .join(_PROFILES, joined)
        .where(
            _PERFORMANCE.c.model == model,
            _PERFORMANCE.c.version == version,
            _PERFORMANCE.c.rows > 0,
        )
        .order_by(_PERFORMANCE.c.window.desc())
        .limit(limit)
    )
    found = connection.execute(query).all()
    return sum(row.answers for row in found), sum((_sums(row) for row in found), Sums())


def _sums(row: Row[Any]) -> Sums:
    return Sums(rows=row.rows, **row.sums)


# ------------------------------------------------------------------ rises


def rises(connection: Connection, model: str, version: str) -> dict[Watched, Rise]:
    """How the endless watches of a version stand."""
    query = select(_RISES).where(_RISES.c.model == model, _RISES.c.version == version)
    return {
        Watched(row.watched): msgspec.convert(row.state, Rise) for row in connection.execute(query)
    }


def save_rise(
    connection: Connection, model: str, version: str, watched: Watched, held: Rise
) -> None:
    """Store how a watch stands."""
    key = {"model": model, "version": version, "watched": watched}
    _upsert(connection, _RISES, [{**key, "state": msgspec.to_builtins(held)}])


# ------------------------------------------------------------------ read from the registry


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What monitoring must know of a version."""

    version: str
    manifest: Manifest
    expected: Expected
    reference: dict[str, Any]


def version_facts(connection: Connection, model: str, *versions: str) -> dict[str, Facts]:
    """What is known of these versions of a model; without names, of the one in production."""
    chosen = _VERSIONS.c.version.in_(versions) if versions else _VERSIONS.c.stage == "Production"
    query = select(
        _VERSIONS.c.version,
        _VERSIONS.c.manifest,
        _VERSIONS.c.metrics,
        _VERSIONS.c.dataset,
        _VERSIONS.c.reference,
    ).where(_VERSIONS.c.model == model, chosen)
    return {
        row.version: Facts(
            version=row.version,
            manifest=msgspec.convert(row.manifest, Manifest),
            expected=Expected(row.metrics, row.dataset.get("test_rows")),
            reference=row.reference,
        )
        for row in connection.execute(query)
    }


def _upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    changed = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), rows)
