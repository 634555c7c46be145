"""Plans that cannot decide are found before they begin, with changes that work."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from serinus.delivery.forecast.feasibility import duration, hours, propose, remedy, summary
from serinus.delivery.forecast.types import Duration, Proposal, Traffic
from serinus.delivery.planning.plan import Basis, quality_scale
from serinus.delivery.types import DeploymentSpec

BASIS = Basis(quality_scale("classification", {"accuracy": 0.9}))
SLOW = Traffic(
    requests=2_880, seconds=86_400.0, error_rate=0.01, p50_ms=40.0, p95_ms=90.0, loss=0.1
)
QUICK = msgspec.structs.replace(SLOW, requests=288_000)


def asked(**fields: object) -> DeploymentSpec:
    return DeploymentSpec(model="m", challenger="2", **fields)  # type: ignore[arg-type]


def proposed(traffic: Traffic | None, **fields: object) -> Proposal:
    return propose(asked(**fields), BASIS, traffic, salt="s", harms=False)


def changed(text: str) -> dict[str, object]:
    """What a remedy says, read as a person would."""
    parts = re.findall(r"(\w+)=(\[[^\]]*\]|[^ ]+)", text)
    return {
        name: value if name == "unit" else tuple(found) if isinstance(found, list) else found
        for name, value in parts
        for found in [None if name == "unit" else json.loads(value)]
    }


def test_propose_lets_a_plan_through_that_can_decide() -> None:
    found = proposed(QUICK)
    assert found.faults == found.remedies == ()
    assert "An equal challenger will need about" in summary(found.forecast, "request")


def test_propose_refuses_a_plan_that_takes_too_long_and_says_how_long() -> None:
    found = proposed(SLOW)
    (fault,) = found.faults
    assert re.match(
        r"step 4 \(50 %\) needs about [\d,]+00 requests \(90 %\), at 120 an hour that is "
        r"\d+ h, max_hours is 72; Errors decides last",
        fault,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"error_odds": 1.2, "error_points": 0.001},
        {"shadow": False, "quality_points": 0.005},
        {"latency_ratio": 1.02},
        {"shares": (0.01, 0.02)},
        {"unit": "entity", "entities": 20_000, "error_odds": 1.3, "error_points": 0.002},
    ],
)
def test_propose_offers_remedies_that_work(fields: dict[str, object]) -> None:
    traffic = msgspec.structs.replace(SLOW, requests=14_400) if fields else SLOW
    found = proposed(traffic, **fields)
    assert found.faults
    assert found.remedies
    assert found.remedies[0] in remedy(found.remedies)
    for text in found.remedies:
        cured = {"entities": None} if "unit=request" in text else {}
        again = proposed(traffic, **{**fields, **cured, **changed(text)})
        assert again.faults == (), text


def test_propose_begins_where_little_is_known_and_says_so() -> None:
    brief = msgspec.structs.replace(SLOW, requests=100, seconds=300.0)
    few = msgspec.structs.replace(SLOW, requests=100)
    fast = msgspec.structs.replace(SLOW, requests=43_053, seconds=90.0)
    for traffic, said in (
        (None, "no request was seen lately"),
        (brief, "100 requests were seen lately, 200 are needed"),
        (few, "100 requests were seen lately, 200 are needed"),
        (fast, "43,053 requests were seen, but over 1.5 minutes; 10 are needed"),
    ):
        found = proposed(traffic)
        assert found.faults == ()
        assert found.forecast.traffic is None
        assert found.forecast.assumptions[0] == said
        assert found.summary == f"How long it will take is unknown: {said}."


def test_propose_refuses_what_no_traffic_would_decide() -> None:
    found = proposed(None, quality_points=0.001)
    assert found.faults == (
        "step 1 (shadow) will hardly ever decide, however many requests come: Labelled "
        "quality in shadow decides last",
    )
    assert found.remedies[0] == "quality_points=0.03"
    assert "hardly ever" in found.summary


def test_propose_refuses_entities_with_a_tight_margin() -> None:
    for traffic in (None, QUICK):
        found = proposed(traffic, unit="entity", error_odds=1.2, error_points=0.001)
        assert "distinct entities" in found.faults[-1]
        assert "10,000 are assumed" in found.faults[-1]
        assert "unit=request" in found.remedies
    assert not proposed(QUICK, unit="entity", entities=1_000_000).faults


def test_propose_counts_the_entities_that_were_named() -> None:
    found = proposed(None, unit="entity", entities=500)
    assert "there are 500" in found.faults[0]


def test_remedy_keeps_what_belongs_together_apart_from_what_is_another_way() -> None:
    found = proposed(None, unit="entity", error_odds=1.2, error_points=0.001)
    assert any(text.endswith(" together") for text in found.remedies), found.remedies
    assert remedy(("a=1 and b=2 together", "c=[3, 4]")) == (
        "Any one of these would make it decidable: a=1 and b=2 together, or c=[3, 4]."
    )


def test_remedy_without_any_says_what_is_left() -> None:
    assert "promote by hand" in remedy(())


def test_durations_are_told_as_a_person_says_them() -> None:
    assert [hours(0.001), hours(0.5), hours(3.25), hours(122.4)] == [
        "4 s",
        "30 min",
        "3.2 h",
        "122 h",
    ]
    assert duration(Duration(11_734.0, 18_651.0, 12.2, 19.0)) == (
        "11,700 requests (18,700 in nine of ten), 12 h (19 h)"
    )
    assert duration(Duration(50.0, None)) == "50 requests (more than will come in nine of ten)"
    assert duration(Duration(None, None)) == "hardly ever"


@pytest.mark.parametrize("strategy", ["shadow", "blue_green", "rolling", "ab_test"])
def test_propose_understands_every_strategy(strategy: str) -> None:
    busy = Traffic(requests=2_000_000, seconds=86_400.0, error_rate=0.01, labelled=1.0, loss=0.1)
    spec = DeploymentSpec(model="m", challenger="2", strategy=strategy, replicas=3)  # type: ignore[arg-type]
    found = propose(spec, BASIS, busy, salt="d", harms=False)

    assert found.faults == ()
    assert len(found.words) == len(found.plan.steps) == len(found.forecast.steps)
    assert found.forecast.whole.hours is not None


def test_propose_refuses_a_test_that_sees_too_little() -> None:
    rare = Traffic(requests=240, seconds=86_400.0, error_rate=0.01, labelled=1.0, loss=0.1)
    spec = DeploymentSpec(
        model="m",
        challenger="2",
        strategy="ab_test",
        max_hours=24.0,
        split=(0.1,),
        min_requests=200,
    )
    found = propose(spec, BASIS, rare, salt="d")

    assert "about 24 times that accuracy" in found.faults[0]
    # It would end with its 200 requests after its least time, however long it may take.
    assert found.remedies == ("min_hours=115 and max_hours=115 together",)
    longer = msgspec.structs.replace(spec, min_hours=115.0, max_hours=115.0)
    enough = propose(longer, BASIS, rare, salt="d")
    assert enough.faults == ()
    assert "found in four of five tests" in enough.summary
