"""Forecasts against rollouts that are simulated request by request through tally and judge."""

from __future__ import annotations

import time
from math import inf, log

import msgspec
import numpy as np
import pytest

from serinus.delivery.forecast.circumstances import ENTITIES
from serinus.delivery.forecast.simulation import forecast
from serinus.delivery.forecast.types import Forecast, Traffic
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale
from serinus.delivery.types import DeploymentSpec, Outcome, Plan
from serinus.delivery.verdicts import measure, tally, watch
from serinus.delivery.verdicts.evidence import LOSS_STEPS, Evidence, Measure
from serinus.delivery.verdicts.judge import gate_of, judge

CUTS = tuple(number / 10 for number in range(1, 10))
CLASSES = Basis(quality_scale("classification", {"accuracy": 0.9}), CUTS, (0, 1))
NUMBERS = Basis(quality_scale("regression", {"mae": 2.0}), CUTS)
FAILING, WRONG, ALONE = 0.01, 0.1, 0.025
P50_MS, SIGMA = 40.0, 0.5
TRAFFIC = Traffic(
    requests=24_000,
    seconds=86_400.0,
    error_rate=FAILING,
    p50_ms=P50_MS,
    p95_ms=P50_MS * float(np.exp(1.6449 * SIGMA)),
    labelled=1.0,
    loss=WRONG,
)


def planned(basis: Basis = CLASSES, **fields: object) -> Plan:
    spec = DeploymentSpec(model="m", challenger="2", **fields)  # type: ignore[arg-type]
    return make_plan(spec, basis, salt="s")


def drawn(rng: np.random.Generator, share: float, step: int, number: int) -> tally.Requests:
    return tally.Requests(
        share=np.full(number, share),
        challenger=rng.random(number) < share,
        step=np.full(number, step),
        failed=rng.random(number) < FAILING,
        latency=1e3 * P50_MS * np.exp(SIGMA * rng.standard_normal(number)),
        score=rng.random(number),
        category=rng.integers(0, 2, number),
    )


def rollout(plan: Plan, rng: np.random.Generator) -> list[int]:
    """Requests that each step of one rollout took, with a look at every 20."""
    took = []
    so_far, seen = Evidence({}), watch.UNSEEN
    for number, step in enumerate(plan.steps):
        ends = np.arange(step.min_requests, 60_000, 20)
        if step.shadow:
            tables = pairs(rng, ends)
        else:
            requests = drawn(rng, step.share, number, int(ends[-1]))
            levels, _ = tally.levels(plan, requests, seen)
            tables = {
                kind: {step.share: by_share[step.share]}
                for kind, by_share in tally.running(levels, requests, ends).items()
            }
        every = {
            kind: {
                **{share: counts[None] for share, counts in so_far.tables.get(kind, {}).items()},
                **by_share,
            }
            for kind, by_share in tables.items()
        }
        passed = np.ones(len(ends), np.bool_)
        for rail in plan.guardrails:
            log_e = measure.log_safe(plan, gate_of(step, rail.kind), rail.kind, every)
            if log_e is not None:
                passed &= log_e >= log(1 / plan.promote_alpha)
        look = int(passed.argmax())
        assert passed[look]
        took.append(int(ends[look]))
        now = {
            kind: {share: counts[look] for share, counts in by_share.items()}
            for kind, by_share in tables.items()
        }
        so_far = so_far + Evidence(now)
        assert judge(plan, number, so_far).outcome is Outcome.PROMOTE
        if not step.shadow:
            cut = drawn_until(requests, took[-1])
            _, seen = tally.levels(plan, cut, seen)
    return took


def drawn_until(requests: tally.Requests, end: int) -> tally.Requests:
    return tally.Requests(
        **{name: getattr(requests, name)[:end] for name in tally.Requests.__dataclass_fields__}
    )


def pairs(rng: np.random.Generator, ends: np.ndarray) -> dict[Measure, dict[float, np.ndarray]]:
    """Tables of mirrored requests, all of them labelled, as :func:`tally.running` lays them out."""
    number = int(ends[-1])
    failed = (rng.random((2, number)) < FAILING).astype(int)
    error = failed[1] - failed[0] + 1
    luck = rng.random(number)
    loss = np.where(luck < ALONE, 0, np.where(luck > 1 - ALONE, 2, 1)) * LOSS_STEPS

    def cumulated(level: np.ndarray, width: int) -> np.ndarray:
        counts = (level[:, None] == np.arange(width)).cumsum(axis=0)[ends - 1]
        return np.stack([np.zeros_like(counts), counts], axis=1)

    came = np.ones(number, int)
    return {
        Measure.PAIR_ERROR: {0.0: cumulated(error, 3)},
        Measure.PAIR_LOSS: {0.0: cumulated(loss, 2 * LOSS_STEPS + 1)},
        Measure.PAIR_MATURED: {0.0: cumulated(came, 2)},
    }


def test_forecast_agrees_with_rollouts_through_the_judge() -> None:
    plan = planned()
    told = forecast(plan, TRAFFIC, seed=5, harms=False)
    rng = np.random.default_rng(11)
    took = np.array([rollout(plan, rng) for _ in range(60)])
    for number, step in enumerate(told.steps):
        assert step.duration.requests == pytest.approx(np.median(took[:, number]), rel=0.2)
    whole = took.sum(axis=1)
    assert told.whole.requests == pytest.approx(np.median(whole), rel=0.1)
    assert told.whole.requests_90 == pytest.approx(np.quantile(whole, 0.9), rel=0.2)


def test_forecast_is_quick_and_repeats_itself() -> None:
    started = time.perf_counter()
    first = forecast(planned(), TRAFFIC, seed=5)
    assert time.perf_counter() - started < 6.0  # 1.5 s where nothing else runs
    assert msgspec.json.encode(first) == msgspec.json.encode(forecast(planned(), TRAFFIC, seed=5))
    assert first != forecast(planned(), TRAFFIC, seed=6)


def harms(found: Forecast, name: str) -> dict[str, float | None]:
    return {harm.harm: harm.duration.requests for harm in found.harms if harm.name == name}


def test_forecast_of_harm_is_the_sooner_the_worse_and_the_larger_the_share() -> None:
    found = forecast(planned(), TRAFFIC, seed=1, runs=100)
    shadow, early, last = (harms(found, name) for name in ("shadow", "5 %", "50 %"))
    # Bars of the engine at 10 %: 50 x in 100 requests, 5 x in 1,800, 2 x in 18,000.
    assert last["errors x 50"] < 40 < early["errors x 50"] < 250
    assert last["errors x 5"] < early["errors x 5"] < 4_000
    assert early["errors x 5"] < early["errors x 2"] < 45_000
    assert 6 * shadow["quality -2 points"] < early["quality -2 points"]
    assert shadow["quality -5 points"] < shadow["quality -2 points"] < 3_000
    assert last["latency +50 %"] < last["latency +20 %"]
    assert "latency +20 %" not in shadow


def test_forecast_of_harm_within_the_latency_slack_is_never() -> None:
    fast = msgspec.structs.replace(TRAFFIC, p50_ms=1.0, p95_ms=2.0)
    found = harms(forecast(planned(), fast, seed=1, runs=50), "50 %")
    assert found["latency +50 %"] is None


def test_forecast_of_harm_within_the_quality_tolerance_is_never() -> None:
    forgiving = forecast(planned(quality_tolerance=0.015), TRAFFIC, seed=1, runs=50)
    more = planned(quality_tolerance=0.02, quality_points=0.03)
    found = forecast(more, TRAFFIC, seed=1, runs=50)
    usual = forecast(planned(), TRAFFIC, seed=1, runs=50)

    for step in ("shadow", "50 %"):
        late, never, soon = (harms(it, step) for it in (forgiving, found, usual))
        assert soon["quality -2 points"] < (late["quality -2 points"] or inf)
        assert soon["quality -5 points"] < late["quality -5 points"] < never["quality -5 points"]
        assert never["quality -2 points"] is None


def test_forecast_in_hours_goes_by_the_observed_traffic() -> None:
    plan = planned()
    slow = msgspec.structs.replace(TRAFFIC, requests=2_400)
    quick, late = (forecast(plan, it, seed=1, runs=50, harms=False) for it in (TRAFFIC, slow))
    assert late.whole.hours == pytest.approx(10 * quick.whole.hours, rel=0.3)
    unknown = forecast(plan, None, seed=1, runs=50, harms=False)
    assert unknown.whole.hours is None
    assert unknown.whole.requests is not None
    assert all(step.decided is None for step in unknown.steps)
    assert any("assumed" in text for text in unknown.assumptions)


def test_forecast_honours_least_requests_and_least_time() -> None:
    plan = planned(min_requests=9_000, min_seconds=3_600.0 * 12)
    found = forecast(plan, TRAFFIC, seed=1, runs=50, harms=False)
    for step in found.steps:
        assert step.duration.requests >= 12_000
        assert step.duration.hours >= 12


def test_forecast_waits_for_labels() -> None:
    late = msgspec.structs.replace(TRAFFIC, label_delay_seconds=7_200.0)
    at_once, delayed = (
        forecast(planned(), it, seed=1, runs=50, harms=False).steps[0].duration.hours
        for it in (TRAFFIC, late)
    )
    assert delayed - at_once == pytest.approx(2.0, abs=0.5)


def test_forecast_of_a_regression_without_traffic() -> None:
    found = forecast(planned(NUMBERS, shadow=False), None, seed=1, runs=50)
    assert 1_000 < found.whole.requests < 30_000
    assert harms(found, "50 %")["quality -5 points"] < harms(found, "50 %")["quality -2 points"]


def test_forecast_with_everything_on() -> None:
    plan = planned(value_cap=10.0, value_loss=0.2, score_shift=0.1, class_odds=1.5)
    found = forecast(plan, TRAFFIC, seed=1, runs=50)
    assert found.whole.requests_90 < 60_000


def test_forecast_by_entity_counts_each_once() -> None:
    plan = planned(unit="entity", labels=False)
    some = forecast(plan, TRAFFIC, seed=1, runs=50, harms=False)
    assert some.steps[-1].units_90 > ENTITIES
    assert some.whole.requests_90 is None
    many = forecast(plan, TRAFFIC, seed=1, runs=50, harms=False, entities=1_000_000)
    by_request = forecast(planned(labels=False), TRAFFIC, seed=1, runs=50, harms=False)
    assert by_request.whole.requests < many.whole.requests
    few = forecast(plan, TRAFFIC, seed=1, runs=50, harms=False, entities=1_000)
    assert few.whole.requests is None


def test_forecast_of_a_plan_without_steps_is_nothing() -> None:
    basis = Basis(CLASSES.quality, first=True)
    found = forecast(planned(basis), TRAFFIC, seed=1)
    assert found.steps == ()
    assert found.whole.requests == 0
