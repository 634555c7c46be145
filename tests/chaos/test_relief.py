"""Live incidents: when a version was gone, and what the figures of an incident are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serinus.chaos import causes, relief
from serinus.chaos.relief import Relief
from serinus.chaos.ward import Incident
from serinus.errors import Unavailable
from serinus.ledger.types import Record
from serinus.wire import Arm, Assignment, Output, Prediction, WorkerStatus

FOUND = Relief(Incident("model", 0), "verified", "said", 2_000.0, 200.0, 31, 4)
CALLED = replace(FOUND, incident=Incident("upstream", 1), state="not_the_model", word_ms=90.0)


def told(at: int, worker: str, revision: int) -> Record:
    return Record(at.to_bytes(16, "big"), WorkerStatus(at, worker, revision, (), {}))


def test_a_version_is_gone_when_the_last_worker_has_a_table_without_it() -> None:
    records = [told(1, "a", 6), told(2, "b", 6), told(3, "a", 7), told(5, "b", 8), told(9, "a", 8)]
    assert relief._gone(records, 7) == 5
    with pytest.raises(Unavailable, match="only 1 workers"):
        relief._gone(records[:3], 7)


def test_a_request_is_harmed_by_the_challenger_that_it_met() -> None:
    def met(arm: Arm, burden: float, fallback: str = "") -> bool:
        given = Assignment("m", arm, 0.5, 1, "d", 0)
        answer = Prediction(1, given, "1.1.0", (0.5, burden), Output(1), 900, fallback)
        return relief._is_bad(Record(bytes(16), answer))

    assert met(Arm.CHALLENGER, 3.0)
    assert met(Arm.CHALLENGER, 0.0, "ValueError")
    assert not met(Arm.CHALLENGER, 0.0)
    assert not met(Arm.CHAMPION, 3.0)
    assert not relief._is_bad(told(1, "a", 1))


def test_every_live_incident_has_its_figures() -> None:
    assert FOUND.figures() == {
        "ms from the first request harmed to 0 %": 2_000,
        "ms from the evidence, or the call, to 0 %": 200,
        "requests harmed": 31,
        "of them after that": 4,
    }
    assert "seed 0, errors: verified" in FOUND.told()


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        (FOUND, ""),
        (replace(FOUND, state="unverified"), causes.LIVE_WRONG),
        (replace(FOUND, word_ms=1_001.0), causes.PROVEN),
        (replace(CALLED, word_ms=301.0), causes.CALLED),
    ],
    ids=["held", "wrong", "late", "slow"],
)
def test_live_bars_hold_what_was_found_and_how_soon(changed: Relief, broken: str) -> None:
    bars = list(causes._live_bars([changed], 1))
    assert [bar.name for bar in bars if not bar.passed] == ([broken] if broken else [])
