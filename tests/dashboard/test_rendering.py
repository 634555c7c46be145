from __future__ import annotations

from datetime import UTC, datetime
from math import inf, log, nan

import pytest

from serinus.dashboard import rendering


@pytest.mark.parametrize(
    ("log_e", "text"),
    [
        (None, "–"),
        (-3.0, "< 1 : 1"),
        (0.0, "1 : 1"),
        (log(12.34), "12.3 : 1"),
        (20.0, "> 1,000,000 : 1"),
        (inf, "> 1,000,000 : 1"),
    ],
)
def test_odds(log_e: float | None, text: str) -> None:
    assert rendering.odds(log_e) == text


@pytest.mark.parametrize(
    ("log_e", "percent"), [(None, 0), (-1.0, 0), (2.3, 50), (4.6, 100), (99.0, 100)]
)
def test_filled(log_e: float | None, percent: int) -> None:
    assert rendering.filled(log_e, 4.6) == percent


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (1234567, "1,234,567"), (0.123456, "0.1235"), (True, "True"), (nan, "nan")],
)
def test_number(value: object, text: str) -> None:
    assert rendering.number(value) == text


def test_when_and_rate() -> None:
    assert rendering.when(datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)) == "2026-01-31 12:00:05"
    assert rendering.when(None) == rendering.rate(None) == "–"
    assert rendering.rate(0.05) == "5.00 %"


def test_render_escapes_what_it_shows() -> None:
    page = rendering.render("error.html.j2", title="Not found", error={
        "title": "Not found", "where": "<script>", "what": "a & b", "remedy": "",
    })  # fmt: skip

    assert "<script>:" not in page
    assert "&lt;script&gt;" in page
    assert "a &amp; b" in page
