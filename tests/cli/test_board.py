from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.cli.documents import NOW, drawn, status

from serinus.cli import bars
from serinus.cli.board import board, line
from serinus.client.watching import Glance, glance_of


def glances() -> list[Glance]:
    """One that runs, one that waits for a person, one that ended."""
    running = glance_of(status())
    replace = msgspec.structs.replace
    return [
        replace(running, id="3", model="ended", phase="succeeded", ended_at=NOW),
        replace(running, id="1", model="running"),
        replace(running, id="2", model="waiting", phase="paused"),
    ]


@pytest.mark.parametrize(
    ("width", "columns"), [(60, ()), (80, ("requests", "since")), (140, ("requests", "why"))]
)
def test_board_has_the_columns_that_fit(width: int, columns: tuple[str, ...]) -> None:
    lines = drawn(board(glances(), NOW, width), width)
    assert max(map(len, lines)) <= width
    for name in ("model", "versions", "phase", "at", *columns):
        assert name in lines[0]
    assert all("25 %" in row for row in lines[1:4])
    assert ("2 h 13 min" in lines[1]) is (width >= 80)


def test_board_shows_first_what_needs_a_person() -> None:
    rows = drawn(board(glances(), NOW, 80), 80)
    assert [row.split()[0] for row in rows[1:4]] == ["waiting", "running", "ended"]
    assert "2 live, 1 ended" in rows[-1]


def test_board_says_what_does_not_fit() -> None:
    many = [
        msgspec.structs.replace(glances()[1], id=str(n), model=f"m{n:04}") for n in range(1_000)
    ]
    rows = drawn(board(many, NOW, 80, height=24), 80)
    assert len(rows) <= 24
    assert "980 do not fit" in rows[-1]


def test_board_of_nothing_says_what_to_do() -> None:
    assert "serinus deploy" in drawn(board([], NOW, 80), 80)[0]
    assert drawn(board([], NOW, 80, away="Nobody there."), 80) == ["Nobody there."]
    assert drawn(board(glances(), NOW, 80, away="Nobody there."), 80)[-1] == "Nobody there."


def test_board_is_plain_where_it_must_be() -> None:
    long = msgspec.structs.replace(glances()[1], model="m" * 90, created_at=NOW - timedelta(days=9))
    lines = drawn(board([long], NOW, 80, marks=bars.PLAIN), 80)
    assert max(map(len, lines)) <= 80
    assert lines[1].isascii()


def test_line_names_everything() -> None:
    assert line(glances()[1]) == "running 1.1.0 running at 25 %: Errors are undecided at 22 to 1."


def test_all_challengers_are_named_and_who_was_dropped() -> None:
    several = msgspec.structs.replace(
        glances()[1], shares={"1.1.0": 0.2, "1.2.0": 0.3}, dropped={"1.2.0": "Errors doubled."}
    )
    assert "1.1.0 20 %, 1.2.0 out" in drawn(board([several], NOW, 120), 120)[1]
    assert "1.2.0 was dropped: Errors doubled." in line(several)
    crowned = msgspec.structs.replace(several, phase="soaking", dropped={})
    assert crowned.versions == "1.1.0"
