"""Reports from a real ledger: live or ended, whole or in part."""

from __future__ import annotations

from functools import partial

import pytest
from tests.delivery.conftest import World
from tests.delivery.shadows import traffic

from serinus.delivery.shadows.report import Shadows
from serinus.delivery.types import DeploymentSpec
from serinus.delivery.verdicts.evidence import Measure
from serinus.errors import InvalidInput, NotFound
from serinus.ledger.files.reader import Reader
from serinus.registry.types import Stage
from serinus.stats import bins


@pytest.fixture
def begun(world: World) -> str:
    """A deployment in its shadow step."""
    amounts = [float(number) for number in range(120)]
    profile = {"features": {"amount": {"bins": bins.to_dict(bins.numeric_bins(amounts))}}}
    world.register("1.0.0", stage=Stage.PRODUCTION, reference=profile)
    world.register("1.1.0")
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", disagreement=0.5)
    return world.delivery.create(spec, actor="test").id


def shadows(world: World) -> Shadows:
    return Shadows(world.engine, world.registry, partial(Reader, world.ledger))


def fold(world: World) -> None:
    while world.controller.run_once():
        if not world.controller._consumer.fold():
            return


def test_report_of_a_live_deployment(world: World, begun: str) -> None:
    traffic.write(world.writer, 2_000, deployment=begun, noise=0.02, clone=1.0, batch=500)
    fold(world)
    found = shadows(world).report(begun)
    assert (found.pairs, found.of, found.soak, found.missing) == (2_000, 2_000, 0, 0)
    assert (found.champion, found.challenger) == ("1.0.0", "1.1.0")
    assert found.conclusion.startswith("The two answer 1")
    assert found.differing.noise == pytest.approx(0.02, abs=0.01)
    assert found.segments[0].feature == "amount"
    assert found.segments[0].proven
    assert found.labelled is not None
    assert found.labelled.odds_better > 1_000
    assert found.shift is not None
    assert len(found.shift.movers) == 10
    assert found.known == found.differing.compared
    assert found.champion_latency is not None
    assert {rail.kind for rail in found.guardrails} == {
        "shadow_errors", "shadow_quality", "disagreement",
    }  # fmt: skip
    # Report and evidence count the same.
    evidence = world.delivery.evidence(begun)
    rail = next(rail for rail in found.guardrails if rail.kind == "disagreement")
    assert rail.requests == found.differing.cloned
    assert evidence.total(Measure.PAIR_FLIP, level=1) == found.differing.flips


def test_report_of_the_newest_pairs_and_of_an_ended_deployment(world: World, begun: str) -> None:
    traffic.write(world.writer, 300, deployment=begun, flips_above=0.0, failing=0.0)
    traffic.write(world.writer, 200, deployment=begun, flips_above=200.0, failing=0.0, seed=2)
    fold(world)
    part = shadows(world).report(begun, 200)
    assert (part.pairs, part.of, part.differing.flips) == (200, 500, 0)
    world.delivery.abort(begun, actor="test", reason="enough")
    assert shadows(world).report(begun).differing.flips == 300


def test_report_of_nothing_says_so(world: World, begun: str) -> None:
    found = shadows(world).report(begun)
    assert found.conclusion == "No request has been answered by both versions yet."
    assert (found.pairs, found.shift, found.labelled, found.confusion) == (0, None, None, None)
    assert found.since is None


def test_report_refuses_what_there_is_not(world: World, begun: str) -> None:
    with pytest.raises(NotFound):
        shadows(world).report("none")
    with pytest.raises(InvalidInput):
        shadows(world).report(begun, 0)
