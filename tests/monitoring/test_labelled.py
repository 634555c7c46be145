from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine

from serinus import clock
from serinus.ledger.files.reader import Reader
from serinus.monitoring.labelled import labelled_count, labelled_rows
from serinus.monitoring.monitor import Monitor

MODEL = "fraud"


def test_labelled_rows_join_predictions_and_labels_oldest_first(
    engine: Engine,
    reader: Reader,
    traffic: Any,
    monitor_of: Callable[..., Monitor],
    registered: Any,
) -> None:
    registered()
    registered("1.1.0", stage="Archived")
    made = [*traffic.send(5), *traffic.send(5, version="1.1.0"), *traffic.send(5)]
    truth = [place % 2 for place in range(10)]
    traffic.label(made[:10][::-1], right=truth)
    monitor_of().step({})
    rows, count = labelled_rows(reader, engine, MODEL, None)
    assert count == len(rows) == labelled_count(engine, MODEL, None) == 10
    assert [list(row) for row in rows] == [["amount", "country", "note", "fraudulent"]] * 10
    assert [row["amount"] for row in rows] == [item.features[0] for _, item in made[:10]]
    assert [row["fraudulent"] for row in rows] == truth[::-1]
    since = clock.from_epoch_us(made[7][1].at)
    assert labelled_rows(reader, engine, MODEL, since) == (rows[7:], 3)
    assert labelled_count(engine, MODEL, since) == 3
    assert labelled_rows(reader, engine, MODEL, None, limit=2)[0] == rows[8:]
    assert labelled_rows(reader, engine, "zebra", None) == ([], 0)


def test_labelled_rows_predictions_gone_from_the_ledger_are_left_out(
    engine: Engine,
    reader: Reader,
    traffic: Any,
    monitor_of: Callable[..., Monitor],
    registered: Any,
) -> None:
    registered()
    traffic.label(traffic.send(3))
    lost = (bytes(16), traffic.made[0][1])
    traffic.label([lost])
    monitor_of().step({})
    assert labelled_count(engine, MODEL, None) == 4
    assert labelled_rows(reader, engine, MODEL, None)[1] == 3
