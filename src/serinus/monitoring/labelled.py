"""Labelled rows from live traffic: predictions joined with what turned out to be true."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from serinus.ledger.types import Reader
from serinus.monitoring import repository
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Manifest, Prediction

MOST_ROWS = 200_000
_LABELS = schema.labels


def labelled_count(engine: Engine, model: str, since: datetime | None) -> int:
    """How many predictions of a model made since then have their label."""
    query = select(func.count()).select_from(_LABELS).where(_LABELS.c.model == model)
    if since is not None:
        query = query.where(_LABELS.c.predicted_at >= since)
    with reading(engine) as connection:
        return connection.execute(query).scalar_one()


def labelled_rows(
    reader: Reader, engine: Engine, model: str, since: datetime | None, limit: int = MOST_ROWS
) -> tuple[list[dict[str, Any]], int]:
    """Predictions of a model made since then, with their labels, oldest first, for retraining.

    Args:
        reader: the ledger that has the predictions.
        engine: the database that has the labels.
        model: the model's name.
        since: predictions from this moment on; None is all.
        limit: if there are more, the newest so many.

    Returns:
        Rows of feature -> value with the target's name -> label last, and how many there are.
        Predictions that the ledger no longer holds are left out.
    """
    query = select(_LABELS.c.prediction, _LABELS.c.version, _LABELS.c.value).where(
        _LABELS.c.model == model
    )
    if since is not None:
        query = query.where(_LABELS.c.predicted_at >= since)
    query = query.order_by(_LABELS.c.predicted_at.desc(), _LABELS.c.prediction).limit(limit)
    with reading(engine) as connection:
        labels = connection.execute(query).all()[::-1]
        versions = {label.version for label in labels}
        facts = repository.version_facts(connection, model, *versions) if versions else {}
    rows = []
    for label in labels:
        event = reader.lookup(bytes(label.prediction))
        if isinstance(event, Prediction) and event.version in facts:
            rows.append(_row(event, facts[event.version].manifest, label.value))
    return rows, len(rows)


def _row(event: Prediction, manifest: Manifest, label: Any) -> dict[str, Any]:
    names = [field.name for field in manifest.inputs]
    return {**dict(zip(names, event.features, strict=False)), manifest.target: label}
