from __future__ import annotations

import pytest

from serinus.errors import NotFound
from serinus.proof import claims
from serinus.proof.runner import Runner
from serinus.proof.types import Bar, Claim, Measured

NAMES = ("aa", "margin", "power", "promote", "latency", "paired", "entities", "delay", "ratio",
         "drifting", "soak")  # fmt: skip


def test_every_published_claim_is_there():
    assert tuple(claims.CLAIMS) == NAMES
    assert claims.named("all") == tuple(claims.CLAIMS.values())
    assert [claim.name for claim in claims.named("power")] == ["power"]
    assert all(claim.runs >= 300 and claim.statement.endswith(".") for claim in claims.named("all"))


def test_unknown_claim_is_told_the_known_ones():
    with pytest.raises(NotFound, match="margin"):
        claims.named("nothing")


def test_check_asks_for_the_claims_own_runs_unless_told():
    asked = []

    def prove(runner, runs):
        asked.append(runs)
        return Measured((Bar("errs", "of runs", 0.0, None, "<=", 0.1),), runs)

    claim = Claim("one", "It holds.", 40, prove)
    with Runner(9, processes=0) as runner:
        found = claims.check(runner, claim)
        assert (found.claim, found.seed, found.runs, found.passed) == ("one", 9, 40, True)
        assert claims.check(runner, claim, 7).runs == 7
    assert asked == [40, 7]
    assert claims.passed([found])
    assert not claims.passed([])
