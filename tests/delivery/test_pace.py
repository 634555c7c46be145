"""What a step still waits for, on looks made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import log

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import labelled_pairs

from serinus.delivery.pace import Facts, Seen, ahead, rates
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale
from serinus.delivery.reconcile import WorkerView
from serinus.delivery.types import (
    Assessment,
    Deployment,
    DeploymentSpec,
    Outcome,
    Phase,
    Verdict,
)

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
BOUND = log(40)
SPEC = DeploymentSpec(model="fraud", challenger="1.1.0", min_requests=200, soak_seconds=600)
PLAN = make_plan(SPEC, Basis(quality_scale("classification", {"accuracy": 0.9})), salt="x")
DEPLOYMENT = Deployment(
    id="d1", model="fraud", champion="1.0.0", challenger="1.1.0", strategy="canary", spec=SPEC,
    plan=PLAN, plan_hash="h", phase=Phase.RUNNING, step=1, step_entered_at=BEGAN,
    verdict=Outcome.CONTINUE, reason="why", requested_by="ann", created_at=BEGAN,
    updated_at=BEGAN, ended_at=None,
)  # fmt: skip


def rail(kind: str, requests: int, log_safe: float | None, state: str = "open") -> Assessment:
    return Assessment(
        kind,
        state,
        requests,
        requests // 4,
        0.01,
        0.01,
        0.0,
        log(100),
        log_safe,
        BOUND,
        "",
        "",  # type: ignore[arg-type]
    )


def seen(seconds: float, *rails: Assessment) -> Seen:
    verdict = Verdict(Outcome.CONTINUE, "so far", 0, 0.05, rails)
    return Seen(BEGAN + timedelta(seconds=seconds), verdict)


def facts(fresh: int = 500, **given: object) -> Facts:
    worker = WorkerView("w1", 1, ("fraud@1.1.0",), {})
    fields: dict[str, object] = {
        "deployment": DEPLOYMENT, "fresh": fresh, "workers": (worker,),
        "at": BEGAN + timedelta(seconds=100),
    }  # fmt: skip
    return Facts(**{**fields, **given})  # type: ignore[arg-type]


def phase(to: Phase, **changes: object) -> Deployment:
    return msgspec.structs.replace(DEPLOYMENT, phase=to, **changes)


def test_line_through_the_looks_says_how_many_requests_are_left() -> None:
    known = facts(
        first=seen(0, rail("errors", 0, 0.0)),
        before=seen(90, rail("errors", 900, BOUND / 2 * 0.9)),
        now=seen(100, rail("errors", 1_000, BOUND / 2)),
    )
    found = ahead(known, 10.0)
    assert found is not None
    assert (found.waits_for, found.units) == ("errors", pytest.approx(1_000))
    assert found.seconds == pytest.approx(100.0)
    assert "about 1,000 more requests" in found.sentence


@pytest.mark.parametrize(
    ("requests", "log_safe"), [(0, 0.0), (5, 1.0), (500, 0.0), (500, -2.0), (500, BOUND)]
)
def test_what_cannot_be_told_is_not_told(requests: int, log_safe: float) -> None:
    known = facts(
        first=seen(0, rail("errors", 0, 0.0)), now=seen(9, rail("errors", requests, log_safe))
    )
    found = ahead(known, 10.0)
    assert found is not None
    assert (found.waits_for, found.seconds, found.units) == ("errors", None, None)
    assert found.until == BEGAN + timedelta(seconds=PLAN.steps[1].max_seconds)


def test_slowest_of_all_is_named() -> None:
    looks = {
        "first": seen(0, rail("errors", 0, 0.0), rail("latency", 0, 0.0)),
        "before": seen(90, rail("errors", 900, 1.8), rail("latency", 900, 0.9)),
        "now": seen(100, rail("errors", 1_000, 2.0), rail("latency", 1_000, 1.0)),
    }
    found = ahead(facts(**looks), 10.0)  # type: ignore[arg-type]
    assert found is not None
    assert found.waits_for == "latency"


def test_requests_of_the_step_are_awaited_at_the_present_rate() -> None:
    found = ahead(facts(fresh=50, now=seen(9, rail("errors", 9_000, 9.0, "safe"))), 3.0)
    assert found is not None
    assert (found.waits_for, found.units, found.seconds) == ("requests", 150.0, 50.0)
    quiet = ahead(facts(fresh=50), 0.0)
    assert quiet is not None
    assert (quiet.waits_for, quiet.seconds) == ("requests", None)


def test_pace_that_is_too_slow_for_the_steps_time_says_so() -> None:
    slow = ahead(facts(fresh=0), 0.0001)
    assert slow is not None
    assert "the champion then stays" in slow.sentence


def test_each_phase_says_what_it_waits_for() -> None:
    pending = ahead(facts(deployment=phase(Phase.PENDING), workers=()), 0.0)
    loading = ahead(facts(deployment=phase(Phase.PENDING)), 0.0)
    paused = ahead(facts(deployment=phase(Phase.PAUSED, verdict=Outcome.PROMOTE)), 0.0)
    soak = ahead(facts(deployment=phase(Phase.SOAKING, step=4)), 0.0)
    ended = ahead(facts(deployment=phase(Phase.ABORTED, ended_at=BEGAN)), 0.0)
    done = ahead(facts(now=seen(9, rail("errors", 9_000, 9.0, "safe"))), 1.0)
    assert pending is not None
    assert "serinus gateway" in pending.sentence
    assert loading is not None
    assert loading.sentence == (
        "1 of 1 gateway workers that reported lately have fraud@1.1.0 ready."
    )
    assert paused is not None
    assert (paused.waits_for, "approve it" in paused.sentence) == ("person", True)
    assert soak is not None
    assert soak.until == BEGAN + timedelta(seconds=600)
    assert ended is None
    assert done is not None
    assert done.waits_for == "controller"


def test_rates_are_of_the_time_since_the_look_before() -> None:
    known = facts(before=seen(80, rail("errors", 400, 0.5), rail("shadow_errors", 100, 0.5)))
    found = rates(known, {"champion": 500, "challenger": 200, "shadow": 100})
    assert found == {"champion": 10.0, "challenger": 5.0, "shadow": 0.0}
    assert rates(facts(), {"champion": 500}) == {"champion": 5.0}
    assert rates(facts(deployment=phase(Phase.ABORTED)), {"champion": 500}) == {}


numbers = st.floats(-50, 50, allow_nan=False)


@given(
    requests=st.integers(0, 10**9), before=st.integers(0, 10**9), log_safe=numbers,
    first=numbers, fresh=st.integers(0, 10**9), rate=st.floats(0, 1e6),
)  # fmt: skip
def test_nothing_seen_makes_it_negative_or_raise(
    requests: int, before: int, log_safe: float, first: float, fresh: int, rate: float
) -> None:
    known = facts(
        fresh=fresh,
        first=seen(0, rail("errors", min(before, requests), first)),
        before=seen(90, rail("errors", before, first)),
        now=seen(100, rail("errors", requests, log_safe)),
    )
    found = ahead(known, rate)
    assert found is not None
    assert found.seconds is None or found.seconds >= 0
    assert found.units is None or found.units >= 0


@pytest.mark.parametrize(
    ("given", "waits_for", "words"),
    [
        ({"workers": ()}, "workers", "no gateway worker has ever reported"),
        (
            {"workers": (), "silent_since": BEGAN + timedelta(seconds=90)},
            "workers",
            "no gateway worker has reported since 2026-01-31 12:01:30 UTC",
        ),
        ({"workers": (WorkerView("w7", 1, (), {}),)}, "workers", "w7 lacks fraud@1.1.0"),
        ({}, "controller", "Everything it asks for is there"),
    ],
    ids=["never", "silent", "behind", "ready"],
)
def test_soak_beyond_its_time_says_whom_it_waits_for(
    given: dict[str, object], waits_for: str, words: str
) -> None:
    late = BEGAN + timedelta(seconds=700)
    found = ahead(facts(deployment=phase(Phase.SOAKING, step=4), at=late, **given), 0.0)
    assert found is not None
    assert (found.waits_for, found.until) == (waits_for, None)
    assert words in found.sentence
    if waits_for == "workers":
        assert "Its soak was over at 2026-01-31 12:10:00 UTC" in found.sentence


def test_what_cannot_be_read_waits_for_a_person() -> None:
    damaged = phase(Phase.RUNNING, unreadable="Expected `array`", reason="End it.")
    found = ahead(facts(deployment=damaged), 0.0)
    assert found is not None
    assert (found.waits_for, found.sentence) == ("person", "End it.")


@pytest.mark.parametrize("to", [Phase.PENDING, Phase.RUNNING, Phase.SOAKING])
def test_default_that_answers_alone_is_told_with_its_end_and_how_to_end_it(to: Phase) -> None:
    until = BEGAN + timedelta(seconds=700)
    found = ahead(facts(deployment=phase(to), asked_since=until, now=seen(9)), 10.0)
    assert found is not None
    assert (found.waits_for, found.seconds) == ("time", 600.0)
    assert found.sentence == (
        "It stands still: only the default of fraud answers until 2026-01-31 12:11:40 UTC. To have "
        "its versions asked again now: serinus default alone fraud --end."
    )
    over = ahead(facts(deployment=phase(to), asked_since=BEGAN, now=seen(9)), 10.0)
    assert over is not None
    assert "default" not in over.sentence
    assert ahead(facts(deployment=phase(Phase.ABORTED), asked_since=until), 0.0) is None


def test_pause_while_the_default_answers_alone_still_waits_for_its_person() -> None:
    until = BEGAN + timedelta(seconds=700)
    known = facts(
        deployment=phase(Phase.PAUSED, verdict=Outcome.PROMOTE), asked_since=until, now=seen(9)
    )
    found = ahead(known, 10.0)
    assert found is not None
    assert found.waits_for == "person"
    assert "only the default of fraud answers until" in found.sentence
    assert "serinus deployments approve d1" in found.sentence


def quality_in_shadow(
    same: int, worse: int, better: int, log_safe: float, *, pairs_a_second: float = 10.0
) -> Facts:
    """A mirror step whose labelled pairs have come at this pace, an hour before its end."""
    pairs = same + worse + better
    now = msgspec.structs.replace(
        rail("shadow_quality", pairs, log_safe), challenger=(worse - better) / pairs, champion=None
    )
    began = pairs - 10 * pairs_a_second
    left = PLAN.steps[0].max_seconds - 3_600.0
    return facts(
        deployment=phase(Phase.RUNNING, step=0),
        at=BEGAN + timedelta(seconds=left),
        first=seen(0, rail("shadow_quality", 0, 0.0)),
        before=seen(left - 10, rail("shadow_quality", round(began), log_safe)),
        now=seen(left, now),
        evidence=labelled_pairs(same, worse, better),
    )


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ((2_268, 149, 103), "at its margin: 1.83 points worse over 2,520 labels, where 2 are"),
        ((8_100, 531, 369), "at its margin: 1.80 points worse over 9,000 labels, where 2 are"),
        ((8_100, 700, 200), "beyond its margin: 5.56 points worse over 9,000 labels, where 2 are"),
    ],
    ids=["early", "late", "beyond"],
)
def test_difference_at_its_margin_is_told_as_one_that_will_not_be_decided(
    pairs: tuple[int, int, int], words: str
) -> None:
    found = ahead(quality_in_shadow(*pairs, -0.5, pairs_a_second=1.0), 1.0)
    assert found is not None
    assert (found.waits_for, found.seconds) == ("shadow_quality", None)
    assert f"Labelled quality in shadow lies {words} to be excluded" in found.sentence
    assert "probably end inconclusive when its time is over" in found.sentence
    assert found.sentence.count("the champion then stays") == 1


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (quality_in_shadow(90, 6, 4, 0.01), "too little was seen to say when"),
        (quality_in_shadow(2_268, 126, 126, 0.01), "too little was seen to say when"),
        (quality_in_shadow(2_268, 149, 103, BOUND / 2), "decides last: about 2,500 more labels"),
    ],
    ids=["few", "as good", "growing"],
)
def test_difference_that_may_be_decided_in_time_is_not_given_up(known: Facts, words: str) -> None:
    found = ahead(known, 1.0)
    assert found is not None
    assert words in found.sentence
    assert "margin" not in found.sentence
