"""Laws are probabilities, follow what was observed, and name what was assumed."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.delivery.forecast.circumstances import Crowd, Harm, circumstances
from serinus.delivery.forecast.types import Traffic
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale
from serinus.delivery.types import DeploymentSpec, Plan
from serinus.delivery.verdicts.evidence import LOSS_DIFFERENCES, LOSS_LEVELS, Measure

CUTS = tuple(number / 10 for number in range(1, 10))
TRAFFIC = Traffic(
    requests=10_000, seconds=3_600.0, error_rate=0.02, p50_ms=50.0, p95_ms=120.0, loss=0.1
)
HARMS = [None, Harm("errors", 50.0), Harm("quality", 0.05), Harm("latency", 1.5)]


def planned(task: str = "classification", **fields: object) -> Plan:
    spec = DeploymentSpec(model="m", challenger="2", value_cap=10.0, **fields)  # type: ignore[arg-type]
    return make_plan(spec, Basis(quality_scale(task, {"mae": 2.0}), CUTS), salt="s")


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("traffic", [None, TRAFFIC])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_circumstances_are_probabilities(
    task: str, traffic: Traffic | None, harm: Harm | None
) -> None:
    for law in circumstances(planned(task), traffic, harm).laws.values():
        assert (law >= 0).all()
        assert (law.sum(axis=-1) <= 1 + 1e-9).all()
        assert np.atleast_2d(law)[0].sum() > 0.1


def test_circumstances_of_an_equal_challenger_are_the_champions() -> None:
    laws = circumstances(planned(), TRAFFIC).laws
    for measure in (Measure.ERROR, Measure.LOSS, Measure.SCORE, Measure.VALUE):
        champion, challenger = laws[measure]
        assert champion == pytest.approx(challenger)
    assert laws[Measure.PAIR_LOSS] @ LOSS_DIFFERENCES == pytest.approx(0.0)
    assert laws[Measure.ERROR][0, 1] == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_circumstances_of_worse_quality_are_worse_by_the_points(task: str) -> None:
    scale = 1.0 if task == "classification" else 10.0
    traffic = Traffic(requests=10_000, seconds=3_600.0, loss=0.1 * scale)
    laws = circumstances(planned(task), traffic, Harm("quality", 0.05)).laws
    champion, challenger = laws[Measure.LOSS] @ LOSS_LEVELS
    assert challenger - champion == pytest.approx(0.05, abs=0.002)
    assert laws[Measure.PAIR_LOSS] @ LOSS_DIFFERENCES == pytest.approx(0.05, abs=0.002)


def test_circumstances_of_slow_challengers_lie_above_more_thresholds() -> None:
    laws = circumstances(planned(latency_slack_ms=0.0), TRAFFIC, Harm("latency", 1.1)).laws
    champion, challenger = laws[Measure.LATENCY]
    # Just as slow as is tolerated: at the boundary of the null.
    assert challenger == pytest.approx(champion)
    slower = circumstances(planned(latency_slack_ms=0.0), TRAFFIC, Harm("latency", 1.5)).laws
    assert slower[Measure.LATENCY][1, -1] > 2 * champion[-1]


def test_circumstances_without_failures_are_not_without_any() -> None:
    spotless = Traffic(requests=1_000, seconds=3_600.0, error_rate=0.0)
    rate = circumstances(planned(), spotless).laws[Measure.ERROR][0, 1]
    assert 0 < rate < 0.001


def test_circumstances_say_what_they_assume() -> None:
    unknown = " ".join(circumstances(planned(), None).assumptions)
    for words in ("assumed", "labels come at once", "sigma 0.5"):
        assert words in unknown
    sparse = Traffic(requests=1_000, seconds=3_600.0, labelled=0.5)
    assert "lately 50.0% did" in " ".join(circumstances(planned(), sparse).assumptions)


def test_crowd_comes_ever_slower_and_not_beyond_its_number() -> None:
    crowd = Crowd(10_000)
    requests = crowd.requests(np.array([0.0, 100.0, 1_000.0, 9_000.0, 10_001.0]))
    assert requests[0] == 0
    assert requests[1] < 250
    assert (np.diff(requests[:-1]) > 0).all()
    assert requests[3] > 9 * requests[2]
    assert np.isinf(requests[4])


@pytest.mark.parametrize("entities", [1_000, 200_000])
def test_crowd_agrees_with_entities_that_were_drawn(entities: int) -> None:
    rng = np.random.default_rng(3)
    chances = 1 / np.arange(1, entities + 1)
    came = rng.choice(entities, 20_000, p=chances / chances.sum())
    distinct = len(np.unique(came))
    (requests,) = Crowd(entities).requests(np.array([float(distinct)]))
    assert requests == pytest.approx(20_000, rel=0.1)
