"""A control process strikes itself where its orders say so, and nowhere twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from serinus.chaos import control, record
from serinus.chaos.control import Blows
from serinus.chaos.types import Orders, Point

MOVE = Point("UPDATE deployments to running 1", "before", transition=True)
FOLD = Point("INSERT folds", "before")


@pytest.fixture
def blows_dealt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    # The one thing that a test of its own process cannot let happen.
    dealt: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: dealt.append(number))
    return dealt


def orders(tmp_path: Path, **changes: object) -> Orders:
    return Orders(record=str(tmp_path / "record"), **changes)  # type: ignore[arg-type]


def test_no_point_is_struck_twice_in_all_lives(tmp_path: Path, blows_dealt: list[int]) -> None:
    given = orders(tmp_path, strike="every")
    for _life in range(3):
        blows = Blows(given)
        for _ in range(2):
            blows.reach(FOLD)
            blows.reach(MOVE)
    assert blows_dealt == [signal.SIGKILL] * 2
    assert len(record.strikes(record.read(given.record))) == 2


def test_only_transitions_are_struck_and_no_more_than_ordered(
    tmp_path: Path, blows_dealt: list[int]
) -> None:
    given = orders(tmp_path, strike="transitions", blow="stop", most=1)
    blows = Blows(given)
    for point in (FOLD, MOVE, Point("COMMIT", "after", transition=True)):
        blows.reach(point)
    assert blows_dealt == [signal.SIGSTOP]


def test_nobody_is_struck_before_it_has_worked(tmp_path: Path, blows_dealt: list[int]) -> None:
    blows = Blows(orders(tmp_path, strike="every", calm_seconds=0.001))
    blows.reach(FOLD)
    assert blows_dealt == []
    blows.resume()
    while not blows_dealt:
        blows.reach(FOLD)
    assert blows_dealt == [signal.SIGKILL]


def test_nobody_is_struck_unless_armed(tmp_path: Path, blows_dealt: list[int]) -> None:
    blows = Blows(orders(tmp_path, strike="every", armed=str(tmp_path / "armed")))
    blows.reach(FOLD)
    assert blows_dealt == []
    (tmp_path / "armed").touch()
    blows.reach(FOLD)
    assert blows_dealt == [signal.SIGKILL]


def test_entry_names_the_orders(tmp_path: Path) -> None:
    words = control.entry(orders(tmp_path))
    assert words[:2] == ["-m", "serinus.chaos.control"]
    assert "record" in words[2]
