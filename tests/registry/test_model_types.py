from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from serinus.errors import InvalidInput
from serinus.registry import model_types
from serinus.registry.model_types import ModelType, RollbackCriteria
from serinus.wire import BreakerRules


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own.toml"


def test_shipped_types_cover_every_task_and_trading() -> None:
    known = model_types.load()

    assert {name: known[name].task for name in ("classification", "regression")} == {
        "classification": "classification",
        "regression": "regression",
    }
    trading = {"sentiment_classifier", "price_prediction", "risk_assessment", "portfolio"}
    assert known.keys() == {"classification", "regression", "forecasting"} | trading


def test_shipped_risk_is_held_to_more_than_a_classification() -> None:
    known = model_types.load()
    risk, other = known["risk_assessment"], known["classification"]

    assert risk.delivery["approvals"] is True
    assert risk.delivery["error_odds"] < 2.0
    assert risk.breaker.failing_share < other.breaker.failing_share
    assert risk.rollback.error_points < other.rollback.error_points


def test_own_file_stands_beside_the_shipped_types(own: Path) -> None:
    own.write_text('[fraud]\ntask = "classification"\nleast = { recall = 0.9 }\n')

    known = model_types.load(own)

    assert known["fraud"] == ModelType("classification", least={"recall": 0.9})
    assert "portfolio" in known


def test_own_type_takes_over_what_it_is_like_but_for_what_it_says(own: Path) -> None:
    own.write_text(
        '[bonds]\nlike = "risk_assessment"\nleast = { f1 = 0.5 }\n'
        "[bonds.delivery]\napprovals = false\n"
        "[bonds.breaker]\nprobes = 3\n"
        "[bonds.rollback]\nverify_seconds = 60.0\n"
    )

    known = model_types.load(own)
    bonds, risk = known["bonds"], known["risk_assessment"]

    assert bonds.least == {"f1": 0.5}
    assert bonds.delivery == {**risk.delivery, "approvals": False}
    assert bonds.breaker == msgspec.structs.replace(risk.breaker, probes=3)
    assert bonds.rollback == msgspec.structs.replace(risk.rollback, verify_seconds=60.0)


def test_own_table_replaces_the_shipped_one(own: Path) -> None:
    own.write_text('[regression]\ntask = "regression"\n')

    found = model_types.load(own)["regression"]

    assert found == ModelType("regression")
    assert (found.breaker, found.rollback) == (BreakerRules(), RollbackCriteria())


def test_every_fault_of_a_file_is_told_at_once(own: Path) -> None:
    own.write_text(
        '[a]\ntask = "guessing"\ncolour = 1\nlatency_ms = "fast"\n'
        '[b]\nlike = "nobody"\n'
        '[c]\ntask = "regression"\n'
        "[c.breaker]\nprobes = 0\nfailing_share = 2.0\n"
        '[d]\ntask = "regression"\n'
        "[d.rollback]\nlatency = 3\nverify_seconds = false\n"
    )

    with pytest.raises(InvalidInput, match="cannot be used") as caught:
        model_types.load(own)

    assert caught.value.where == str(own)
    assert [fault.split(": ")[:2] for fault in caught.value.faults] == [
        ["a", "task"],
        ["a", "colour"],
        ["a", "latency_ms"],
        ["b", "like = 'nobody' names no other type"],
        ["b", "task"],
        ["c", "breaker.failing_share"],
        ["c", "breaker.probes"],
        ["d", "rollback.latency"],
        ["d", "rollback.verify_seconds"],
    ]


@pytest.mark.parametrize("text", ["not toml", 'x = 1\n[a]\ntask = "regression"'])
def test_unusable_file_is_named(own: Path, text: str) -> None:
    own.write_text(text)

    with pytest.raises(InvalidInput) as caught:
        model_types.load(own)

    assert caught.value.where == str(own)


def test_ring_of_types_ends(own: Path) -> None:
    own.write_text('[a]\nlike = "b"\n[b]\nlike = "a"\n')

    with pytest.raises(InvalidInput, match="cannot be used"):
        model_types.load(own)


@pytest.mark.parametrize(("name", "fact"), [("magic", "not known"), ("regression", "is of")])
def test_choose_unfitting_type_names_the_fitting(name: str, fact: str) -> None:
    with pytest.raises(InvalidInput, match=fact) as caught:
        model_types.choose(model_types.load(), name, "classification")

    assert "risk_assessment" in caught.value.remedy


def test_type_of_an_unknown_name_is_the_tasks_own() -> None:
    known = model_types.load()

    assert model_types.type_of(known, "portfolio", "regression") is known["portfolio"]
    assert model_types.type_of(known, "sklearn", "regression") is known["regression"]
    assert model_types.type_of(known, "portfolio", "classification") is known["classification"]


def test_type_in_the_documents_is_one(own: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "plans.md"
    own.write_text(
        "[bonds]" + page.read_text("utf-8").partition("\n[bonds]")[2].partition("```")[0]
    )

    bonds = model_types.load(own)["bonds"]

    assert bonds.rollback.verify_seconds == 120.0
    # Every setting of the tables is shown.
    for kind in (BreakerRules, RollbackCriteria):
        assert all(f"\n{name} = " in own.read_text() for name in kind.__struct_fields__)
