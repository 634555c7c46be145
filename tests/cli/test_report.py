from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from tests.cli.documents import NOW, deployment, drawn, move, status

from serinus.cli import report, show
from serinus.client import types


@pytest.mark.parametrize("width", [60, 80, 160])
def test_report_has_evidence_in_words_and_every_move(width: int) -> None:
    item = status()
    assert item.verdict is not None
    lines = drawn(report.report(item, item.latest, NOW, width), width)
    told = " ".join(" ".join(lines).split())
    for rail in item.verdict.guardrails:
        assert rail.sentence in told or width == 160
    for words in (
        "3.2 of 100",
        "22",
        "not asked",
        "5,211 labels came in all",
        "It is loaded and warm",
    ):
        assert words in told, words
    assert max(map(len, lines)) <= width


def test_history_numbers_retries_and_names_who() -> None:
    history = (
        move("pending", "pending", 0, 90, "ann", "begins"),
        move("running", "aborted", 1, 60, "bob", "lunch"),
        move("aborted", "pending", 1, 50, "cy", "back"),
        move("rolled_back", "pending", 1, 40, "dee", "again"),
    )
    lines = drawn(report.moves(history, status().deployment.plan), 80)
    assert "aborted at 5 % by bob" in lines[2]
    assert lines[4].endswith("by cy  retry 1")
    assert lines[6].endswith("by dee  retry 2")
    assert "retry" not in lines[0]


def test_told_says_that_labels_wait_for_an_earlier_one() -> None:
    until = datetime(2026, 1, 31, 16, 35, tzinfo=UTC)
    counts = msgspec.structs.replace(status().counts, told={"labels": 2_000, "values": 0})

    assert report.told(counts) == "2,000 labels came in all"
    waiting = msgspec.structs.replace(counts, delayed=1_380, delayed_until=until)
    assert report.told(waiting) == (
        "2,000 labels came in all; 1,380 labels wait for an earlier request that has none yet, "
        f"at most until {show.when(until)} (label_window_seconds)"
    )
    none = msgspec.structs.replace(counts, told={})
    assert report.told(none) == "no label has come yet"


def test_moves_of_an_experiment_name_every_challenger() -> None:
    test = types.Experiment(
        challengers=("1.1.0", "1.2.0"), split=(0.2, 0.3), metric="accuracy", min_seconds=1.0,
        planned_seconds=2.0, confidence=0.95, covariate="", allocation="fixed",
    )  # fmt: skip
    plan = msgspec.structs.replace(deployment().plan, experiment=test)
    at = types.Transition("pending", "running", 0, NOW, "controller", "continue", "It began.")
    assert (
        "running at 1.1.0 20 %, 1.2.0 30 % by controller" in drawn(report.moves([at], plan), 99)[0]
    )
