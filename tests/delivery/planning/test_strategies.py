"""Strategies write steps; whatever sound thing is asked for, they make one plan of it."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from serinus.delivery.planning import faults, strategies
from serinus.delivery.planning.budget import ALPHAS, BUDGET
from serinus.delivery.planning.plan import Basis, make_plan, plan_hash, quality_scale
from serinus.delivery.types import DeploymentSpec, Plan, Step
from serinus.errors import InvalidInput

BASIS = Basis(
    quality_scale("classification", {"accuracy": 0.9}),
    tuple(number / 10 for number in range(1, 10)),
    (0, 1),
)


def spec(**fields: object) -> DeploymentSpec:
    return DeploymentSpec(model="fraud", challenger="2.0.0", **fields)  # type: ignore[arg-type]


def steps(*, workers: int = 1, **fields: object) -> list[tuple[float, float, int]]:
    """Share, mirror and replicas of each step."""
    made = strategies.steps(strategies.complete(spec(**fields), workers=workers))
    return [(step.share, step.mirror, step.replicas) for step in made]


def test_shadow_is_one_mirror_that_promotes_nothing() -> None:
    plan = make_plan(spec(strategy="shadow"), BASIS, salt="d")

    assert [(step.share, step.mirror) for step in plan.steps] == [(0.0, 1.0)]
    assert not plan.promotes


def test_canary_ramps_after_a_mirror() -> None:
    assert steps() == [(0.0, 1.0, 0), (0.05, 0.0, 0), (0.25, 0.0, 0), (0.5, 0.0, 0)]
    assert steps(shadow=False, shares=(0.1,)) == [(0.1, 0.0, 0)]


def test_blue_green_is_a_mirror_before_all_traffic() -> None:
    plan = make_plan(spec(strategy="blue_green", shadow=False), BASIS, salt="d")

    assert [step.shadow for step in plan.steps] == [True]
    assert plan.promotes
    assert plan.soak_mirror == 1.0


@pytest.mark.parametrize(
    ("fields", "workers", "expected"),
    [
        ({"replicas": 4}, 1, [(0.25, 1), (0.5, 2), (0.75, 3)]),
        ({"replicas": 5, "batch": 2}, 1, [(0.4, 2), (0.8, 4)]),
        ({"replicas": 3, "batch": 2}, 1, [(2 / 3, 2)]),
        ({}, 1, [(0.5, 1)]),
        ({}, 3, [(1 / 3, 1), (2 / 3, 2)]),
    ],
    ids=["one_by_one", "two_by_two", "last_is_smaller", "two_at_least", "live_workers"],
)
def test_rolling_replaces_a_batch_after_the_other(
    fields: dict[str, object], workers: int, expected: list[tuple[float, int]]
) -> None:
    found = steps(strategy="rolling", shadow=False, workers=workers, **fields)

    assert [(share, replicas) for share, _, replicas in found] == expected
    assert steps(strategy="rolling", workers=workers, **fields)[0] == (0.0, 1.0, 0)


def test_rolling_of_fewer_workers_than_a_batch_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        make_plan(spec(strategy="rolling", batch=4), basis(3), salt="d")

    assert caught.value.faults == ("batch: must be below replicas (all at once is blue_green)",)


def test_rolling_asks_at_its_last_step_what_a_canary_asks() -> None:
    rolled = strategies.steps(spec(strategy="rolling", replicas=4))
    ramped = strategies.steps(spec(shares=(0.25, 0.5, 0.75)))

    assert [step.gate for step in rolled] == [step.gate for step in ramped]


def test_ab_test_is_one_live_step_until_the_planned_end() -> None:
    (step,) = strategies.steps(spec(strategy="ab_test", others=("2.1.0",), max_hours=48.0))

    assert step.share == pytest.approx(1 / 3)
    assert step.min_seconds == 24 * 3600
    # Labels of the last requests are waited for.
    assert step.max_seconds > 48 * 3600 + 86_400


def test_first_version_meets_nobody_to_be_compared_with() -> None:
    plan = make_plan(spec(strategy="rolling"), Basis(BASIS.quality, first=True), salt="d")

    assert (plan.steps, plan.soak_seconds, plan.soak_mirror) == ((), 0.0, 0.0)


# ------------------------------------------------------------------ whatever is asked for

_shares = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=8, unique=True).map(
    lambda found: tuple(sorted(found))
)
_alphas = st.dictionaries(st.sampled_from(sorted(ALPHAS)), st.floats(1e-6, 0.002), max_size=4)
_splits = st.integers(1, 4).flatmap(
    lambda count: st.lists(st.floats(0.01, 0.2), min_size=count, max_size=count).map(tuple)
)
SPECS = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(sorted(strategies.STRATEGIES)),
        "shares": _shares,
        "shadow": st.booleans(),
        "unit": st.sampled_from(["request", "entity"]),
        "error_odds": st.floats(1.01, 50.0),
        "error_points": st.floats(1e-4, 0.5),
        "quality_points": st.floats(1e-4, 0.5),
        "latency_ratio": st.floats(1.01, 10.0),
        "score_shift": st.none() | st.floats(0.01, 0.4),
        "disagreement": st.none() | st.floats(0.01, 0.9),
        "value_cap": st.none() | st.floats(0.1, 1e6),
        "alphas": _alphas,
        "min_requests": st.integers(1, 10_000),
        "max_hours": st.floats(24.0, 1_000.0),
        "soak_seconds": st.floats(0.0, 1e5),
        "soak_mirror": st.floats(0.0, 1.0),
        "approvals": st.booleans(),
        "replicas": st.none() | st.integers(2, 90),
        "batch": st.integers(1, 5),
        "split": _splits,
        "confidence": st.floats(0.5, 0.999),
        "covariate": st.sampled_from(["", "amount"]),
        "allocation": st.sampled_from(["fixed", "thompson"]),
    }
)


@given(SPECS, st.integers(0, 20))
def test_any_sound_specification_gives_one_plan(fields: dict[str, object], workers: int) -> None:
    others = tuple(f"3.{number}.0" for number in range(len(fields["split"]) - 1))  # type: ignore[arg-type]
    asked = spec(**fields, others=others)
    assume(not faults.of(strategies.complete(asked, workers=workers)))

    plan = make_plan(asked, basis(workers), salt="d")

    live = [step.share for step in plan.steps if not step.shadow]
    assert all(earlier < later for earlier, later in pairwise(live))
    assert all(0 < share < 1 for share in live)
    assert all(_orderly(step) for step in plan.steps)
    assert [step.shadow for step in plan.steps] == sorted(
        (step.shadow for step in plan.steps), reverse=True
    )
    assert sum(rail.alpha for rail in plan.guardrails) <= BUDGET + 1e-9
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert plan_hash(again) == plan_hash(plan)


def basis(workers: int) -> Basis:
    return Basis(BASIS.quality, BASIS.score_cuts, BASIS.classes, workers=workers)


def _orderly(step: Step) -> bool:
    return 0 <= step.min_seconds <= step.max_seconds and step.min_requests >= 1
