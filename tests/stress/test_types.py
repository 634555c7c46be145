from __future__ import annotations

from serinus.stress.types import Finding, at_least, at_most

GOOD, BAD, TOLD = at_most("lost", 0, 0), at_least("sent", 0, 1), at_most("p99", 1.5, None, "ms")


def finding(*bars) -> Finding:
    return Finding("swap", "It holds.", bars, seed=3, seconds=1.23)


def test_finding_passes_with_all_its_limits() -> None:
    assert finding(GOOD, TOLD).passed
    assert not finding(GOOD, BAD).passed
    assert finding(GOOD, TOLD).figure("p99") == 1.5


def test_finding_as_plain_json_has_every_bar() -> None:
    plain = finding(GOOD, BAD, TOLD).as_dict()
    assert [bar["passed"] for bar in plain["bars"]] == [True, False, None]
    assert plain["passed"] is False
    assert (plain["proof"], plain["seed"], plain["seconds"]) == ("swap", 3, 1.2)
