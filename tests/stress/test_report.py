from __future__ import annotations

from io import StringIO

from rich.console import Console

from serinus.stress import report
from serinus.stress.types import Finding, at_most


def printed(found: Finding) -> str:
    out = StringIO()
    Console(file=out, width=120).print(report.finding(found))
    return out.getvalue()


def test_finding_that_holds_is_shown_with_its_notes() -> None:
    bars = (at_most("requests dropped", 0, 0), at_most("p99", 1234.5, None, "ms"))
    shown = printed(Finding("swap", "It holds.", bars, 7, 61.2, {"arms": {"champion": 3.0}}))
    for text in ("swap: It holds.", "requests dropped", "1,234 ms", "told", "champion 3"):
        assert text in shown
    assert "Holds: seed 7, 61 s" in shown


def test_finding_that_fails_shows_its_first_faults_as_they_are() -> None:
    faults = tuple(f"attack {number} [bold]b'\\x00'" for number in range(30))
    shown = printed(Finding("fuzz", "Holds.", (at_most("faults", 30, 0),), 0, 1.0, {}, faults))
    assert "FAILS" in shown
    assert "attack 19 [bold]b'\\x00'" in shown
    assert "and 10 more" in shown
