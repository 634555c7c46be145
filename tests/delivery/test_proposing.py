"""What is asked for against the versions that there are: one answer tells everything wrong."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.delivery.conftest import World

from serinus.delivery.proposing import Planner
from serinus.delivery.types import DeploymentSpec
from serinus.errors import Conflict, InvalidInput, NotFound, SerinusError
from serinus.registry.model_types import ModelType
from serinus.registry.types import GateResult, Stage
from serinus.wire import BreakerRules, Field, Manifest

ASKED = {"model": "fraud", "challenger": "1.1.0"}


@pytest.fixture
def planner(world: World) -> Planner:
    """Of an installation with 1.0.0 in production and 1.1.0 registered."""
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    return world.delivery.planner


def test_propose_tells_the_versions_and_changes_nothing(world: World, planner: Planner) -> None:
    found = planner.propose(ASKED)

    assert found.champion is not None
    assert (found.champion.version, found.challenger.version) == ("1.0.0", "1.1.0")
    assert found.spec == DeploymentSpec(model="fraud", challenger="1.1.0", min_requests=200)
    assert world.delivery.list(None, limit=10, after=None) == []


def test_accept_refuses_what_could_not_decide(planner: Planner) -> None:
    with pytest.raises(InvalidInput, match="could not decide"):
        planner.accept({**ASKED, "unit": "entity", "entities": 300}, salt="d7")


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"model": "nobody"}, NotFound, "nobody"),
        ({"challenger": "9.9.9"}, NotFound, "9.9.9"),
        ({"champion": "1.1.0"}, Conflict, "does not hold Production"),
        ({"challenger": "1.0.0"}, Conflict, "is the champion already"),
        ({"shares": [0.5, 0.1]}, InvalidInput, "cannot be carried out"),
        ({"colour": "red"}, InvalidInput, "cannot be carried out"),
    ],
    ids=["model", "version", "champion", "same", "field", "unknown_field"],
)
def test_one_fault_alone_keeps_its_kind(
    planner: Planner, fields: dict[str, object], kind: type[SerinusError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        planner.propose({**ASKED, **fields})
    assert caught.value.remedy


def test_every_fault_is_told_in_one_answer(world: World, planner: Planner) -> None:
    inputs = (Field("amount", "long", required=True), Field("colour", "string"))
    manifest = Manifest("fraud", "classification", inputs, "is_fraud", (0, 1))
    gate = GateResult("threshold accuracy", False, "0.4 against 0.7")
    world.register("2.0.0", manifest=manifest, gates=(gate,))
    shutil.rmtree(world.ledger.with_name("models") / "2.0.0")
    world.delivery.create(ASKED, actor="ann")

    with pytest.raises(InvalidInput) as caught:
        planner.accept(
            {
                "model": "fraud", "challenger": "2.0.0", "champion": "8.0.0", "colour": "red",
                "error_odds": "high", "shares": [0.5, 0.2], "max_hours": 0,
                "alphas": {"beauty": 0.01},
            },
            salt="d7",
        )  # fmt: skip

    told = list(caught.value.faults)
    for words in (
        "8.0.0", "does not hold Production", "did not pass its gates (threshold accuracy: 0.4",
        "cannot be loaded: its folder", "age is missing; amount is long, it was double",
        "another deployment of fraud is live", "colour: there is no such field",
        "error_odds: must be a number", "alphas.beauty: there is no such guardrail",
        "shares: each must be larger", "max_hours: must be above 0",
    ):  # fmt: skip
        assert any(words in fault for fault in told), (words, told)
    # Who is meant comes before what is asked for.
    first_field = next(place for place, fault in enumerate(told) if fault.startswith("colour:"))
    assert all("version" in fault or "deployment" in fault for fault in told[:first_field])
    assert world.registry.get("fraud", "2.0.0").stage is Stage.NONE


def test_overlap_refuses_and_a_proposal_only_tells_it(world: World, planner: Planner) -> None:
    begun = world.delivery.create(ASKED, actor="ann")

    with pytest.raises(Conflict, match=begun.id) as caught:
        planner.accept(ASKED, salt="d7")
    assert f"abort {begun.id}" in caught.value.remedy
    assert begun.id in planner.propose(ASKED).proposal.faults[0]


def test_version_whose_folder_is_gone_is_refused(world: World, planner: Planner) -> None:
    folder = Path(world.registry.get("fraud", "1.1.0").uri)
    (folder / "serinus.json").write_text("{")

    with pytest.raises(InvalidInput, match=r"manifest .* cannot be read"):
        planner.accept(ASKED, salt="d7")


def test_model_type_stands_between_the_person_and_serinus(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION, model_type="risk_assessment")
    world.register("1.1.0", model_type="risk_assessment")
    planner = replace(world.delivery.planner, defaults={"error_points": 0.004, "approvals": False})
    kind = planner.types["risk_assessment"]

    found = planner.propose({**ASKED, "error_odds": 3.0})

    assert found.spec.error_odds == 3.0
    assert list(found.spec.shares) == kind.delivery["shares"]
    assert found.spec.approvals is True
    assert found.spec.error_points == 0.004
    assert found.spec.quality_points == 0.01
    assert found.spec.latency_ratio == 1.25
    assert found.proposal.plan.breaker == kind.breaker != BreakerRules()


def test_fault_that_the_model_type_brought_says_so(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION, model_type="own")
    world.register("1.1.0", model_type="own")
    own = ModelType("classification", delivery={"value_loss": 0.2, "value_cap": 1.0})
    planner = world.delivery.planner
    planner = replace(planner, types={**planner.types, "own": own})

    with pytest.raises(InvalidInput) as caught:
        planner.propose({**ASKED, "value_floor": 2.0})

    assert caught.value.faults == ("value_cap: must be above value_floor (by the model type own)",)


def test_ab_test_looks_at_every_challenger(world: World, planner: Planner) -> None:
    world.register("1.2.0")
    asked = {**ASKED, "strategy": "ab_test"}

    found = planner.propose({**asked, "others": ["1.2.0"]})
    assert [version.version for version in found.others] == ["1.2.0"]
    assert found.proposal.plan.experiment is not None
    assert found.proposal.plan.experiment.challengers == ("1.1.0", "1.2.0")
    with pytest.raises(InvalidInput) as caught:
        planner.propose({**asked, "others": ["1.0.0", "7.0.0", "1.1.0"]})
    assert len(caught.value.faults) == 3


def test_breakers_of_a_type_stand_in_the_route_of_its_models(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION, model_type="risk_assessment")
    rules = world.delivery.planner.types["risk_assessment"].breaker

    assert world.delivery.tables.publish().routes["fraud"].breaker == rules != BreakerRules()
    world.register("1.1.0", model_type="risk_assessment")
    world.delivery.create(ASKED, actor="ann")
    assert world.delivery.tables.publish().routes["fraud"].breaker == rules


def test_breakers_of_a_task_are_those_of_every_type_that_nobody_knows(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION, model_type="their own name")
    planner, rules = world.delivery.planner, BreakerRules(rows=7)
    types = {**planner.types, "classification": ModelType("classification", breaker=rules)}

    with world.engine.connect() as connection:
        assert planner.breakers(connection) == {}
        assert replace(planner, types=types).breakers(connection) == {"fraud": rules}


def test_stored_specification_says_how_many_replicas_there_were(planner: Planner) -> None:
    found = planner.propose({**ASKED, "strategy": "rolling"})

    assert found.spec.replicas == 2
    assert [step.replicas for step in found.proposal.plan.steps] == [0, 1]


def test_covariate_needs_the_same_inputs_of_every_version(world: World, planner: Planner) -> None:
    """It is read from requests by its place, which would be another input of some of them."""
    turned = (Field("age", "double"), Field("amount", "double"))
    world.register(
        "1.2.0", manifest=Manifest("fraud", "classification", turned, "is_fraud", (0, 1))
    )
    asked = {**ASKED, "strategy": "ab_test", "others": ["1.2.0"], "covariate": "amount"}
    with pytest.raises(InvalidInput, match=r"1\.2\.0 takes other inputs") as caught:
        planner.propose(asked)
    assert caught.value.faults == ("the order is age, amount, it was amount, age",)
    planner.propose({**asked, "others": []})


@pytest.mark.parametrize("strategy", ["canary", "portfolio"], ids=["said", "by the model type"])
def test_field_that_nobody_would_read_is_refused(world: World, strategy: str) -> None:
    """Also one that could not be used anyhow; what the model type says is for any strategy."""
    kind = "portfolio" if strategy == "portfolio" else "risk_assessment"
    world.register("1.0.0", stage=Stage.PRODUCTION, model_type="own")
    world.register("1.1.0", model_type="own")
    planner = world.delivery.planner
    own = replace_task(planner.types[kind])
    planner = replace(planner, types={**planner.types, "own": own})
    said: dict[str, object] = {"split": [0.2], "batch": "many"}
    if strategy == "canary":
        said["strategy"] = strategy

    with pytest.raises(InvalidInput) as caught:
        planner.propose({**ASKED, **said})
    used = "canary" if strategy == "canary" else "blue_green"
    by = "" if strategy == "canary" else " (blue_green by the model type own)"
    assert set(caught.value.faults) == {
        "batch: must be a whole number, not 'many'",
        f"split: {used} does not use it; ab_test does{by}",
        f"batch: {used} does not use it; rolling does{by}",
    }
    planner.propose({**ASKED, "strategy": "shadow"})


def replace_task(kind: ModelType) -> ModelType:
    """The same of the models that there are here."""
    return msgspec.structs.replace(kind, task="classification")


def test_strategy_that_there_is_not_ignores_nothing(planner: Planner) -> None:
    with pytest.raises(InvalidInput) as caught:
        planner.propose({**ASKED, "strategy": "roling", "batch": 2})
    assert len(caught.value.faults) == 1


def test_stored_specification_says_which_sample_was_chosen(world: World, planner: Planner) -> None:
    found = planner.propose({**ASKED, "strategy": "ab_test"})

    sample = found.spec.min_requests
    assert sample is not None
    assert sample > 1_000
    assert found.proposal.plan.steps[0].min_requests == sample
    assert f"{sample:,} labelled requests (enough to find 2 points" in found.proposal.words[0]
    begun = world.delivery.create({**ASKED, "strategy": "ab_test"}, actor="ann")
    assert begun.spec.min_requests == begun.plan.steps[0].min_requests == sample
    said = planner.propose({**ASKED, "strategy": "ab_test", "min_requests": 900})
    assert "900 labelled requests but" in said.proposal.words[0]
