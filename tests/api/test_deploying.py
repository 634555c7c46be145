from __future__ import annotations

import json

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus.api import deploying
from serinus.delivery.planning.plan import plan_hash
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry.types import Stage

CANARY = {
    "model_name": MODEL,
    "candidate_version": "1.1.0",
    "production_version": "1.0.0",
    "traffic_percentage": 10,
    "min_samples": 50,
    "max_duration_hours": 2,
    "auto_promote_on_success": True,
}


@pytest.fixture
def two(faces: Faces) -> Faces:
    """A champion and a version that wants its place."""
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    return faces


def test_canary_in_the_words_of_the_requirements(two: Faces) -> None:
    answer = httpx.post(f"{two.url}/deployments/canary", json=CANARY)

    assert answer.status_code == 201
    begun = answer.json()
    assert [step["share"] for step in begun["plan"]["steps"]] == [0, 0.1, 0.25, 0.5]
    assert begun["plan"]["steps"][1]["min_requests"] == 50
    assert begun["phase"] == "pending"
    status = httpx.get(f"{two.url}/deployments/status/{MODEL}").json()
    assert status["deployment"]["id"] == begun["id"]
    every = httpx.get(f"{two.url}/api/deployments/status").json()
    assert [item["deployment"]["id"] for item in every["items"]] == [begun["id"]]


def test_canary_of_an_unknown_version_changes_nothing(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments/canary", json={**CANARY, "candidate_version": "9.9.9"}
    )

    assert answer.status_code == 404
    assert "1.1.0" in answer.json()["remedy"]
    assert httpx.get(f"{two.url}/deployments").json()["items"] == []


def test_canary_goes_on_with_the_larger_usual_shares() -> None:
    def shares(asked: dict[str, object], usual: dict[str, object]) -> object:
        return deploying.fields_of(asked, "canary", usual, deploying.CanaryRequest)["shares"]

    assert shares({"traffic_percentage": 30}, {}) == [0.3, 0.5]
    assert shares({"traffic_percentage": "0.5%"}, {}) == [0.005, 0.1, 0.25, 0.5]
    assert shares({}, {"shares": (0.1,)}) == (0.1,)


def test_canary_refuses_what_is_no_share(two: Faces) -> None:
    for percentage in (0, 100, -1, "ten", None, True, 1e300, 0.1, "0.1", "100%"):
        asked = {**CANARY, "traffic_percentage": percentage, "min_samples": "few"}
        answer = httpx.post(f"{two.url}/deployments/canary", json=asked)

        assert answer.status_code == 422
        assert sorted(answer.json()["faults"]) == [
            "min_samples: must be a whole number, not 'few'",
            "traffic_percentage: must be a percentage from 1 to below 100, such as 10; a smaller "
            "one with its sign, such as 0.5%",
        ]


def test_canary_that_names_no_percentage_begins_at_a_tenth(two: Faces) -> None:
    asked = {"model_name": MODEL, "candidate_version": "1.1.0"}
    begun = httpx.post(f"{two.url}/api/deployments/canary", json=asked).json()

    assert [step["share"] for step in begun["plan"]["steps"]] == [0, 0.1, 0.25, 0.5]


def test_canary_of_a_type_with_its_own_shares_takes_those(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION, model_type="risk_assessment")
    faces.register("1.1.0", model_type="risk_assessment")
    asked = {"model_name": MODEL, "candidate_version": "1.1.0"}
    begun = httpx.post(f"{faces.url}/deployments/canary", json=asked).json()

    assert [step["share"] for step in begun["plan"]["steps"]] == [0, 0.05, 0.1, 0.25, 0.5]
    assert begun["spec"]["approvals"] is True
    assert begun["plan"]["breaker"]["failing_share"] == 0.2


CALLS = (
    ("shadow", "shadow", [0]),
    ("blue-green", "blue_green", [0]),
    ("blue_green", "blue_green", [0]),
    ("rolling", "rolling", [0, 0.5]),
    ("ab-test", "ab_test", [0.5]),
    ("ab_test", "ab_test", [0.5]),
)


def test_each_strategy_has_its_call(two: Faces) -> None:
    asked = {"model_name": MODEL, "candidate_version": "1.1.0", "production_version": "1.0.0"}
    for path, strategy, shares in CALLS:
        answer = httpx.post(f"{two.url}/api/deployments/{path}", json=asked)

        assert answer.status_code == 201, answer.text
        begun = answer.json()
        assert begun["strategy"] == begun["spec"]["strategy"] == strategy
        assert [step["share"] for step in begun["plan"]["steps"]] == shares
        two.app.delivery.abort(begun["id"], actor="test", reason="the next")


@pytest.mark.parametrize(
    ("split", "others", "expected"),
    [
        (0.2, None, [0.2]),
        ([0.2, 0.3], ["1.2.0"], [0.2, 0.3]),
        ({"1.2.0": 0.3, "1.1.0": 0.2}, None, [0.2, 0.3]),
    ],
    ids=["number", "list", "table"],
)
def test_ab_test_in_common_words(
    two: Faces, split: object, others: list[str] | None, expected: list[float]
) -> None:
    two.register("1.2.0")
    asked = {
        "model_name": MODEL,
        "candidate_version": "1.1.0",
        "traffic_split": split,
        "success_metric": "latency",
        "min_duration_hours": 2,
        "confidence_level": 0.9,
        **({"others": others} if others else {}),
    }
    found = httpx.post(f"{two.url}/deployments/ab-test", json=asked).json()["plan"]["experiment"]

    assert found["split"] == expected
    assert found["challengers"] == ["1.1.0", "1.2.0"][: len(expected)]
    assert (found["metric"], found["min_seconds"], found["confidence"]) == ("latency", 7200, 0.9)


def test_faults_of_common_words_name_the_words(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments/ab-test",
        json={
            "model_name": MODEL, "candidate_version": "9.9.9", "traffic_split": 2,
            "success_metric": "mse", "min_duration_hours": 0, "confidence_level": 1, "hue": 3,
        },
    )  # fmt: skip

    assert answer.status_code == 422
    faults = answer.json()["faults"]
    assert "9.9.9" in faults[0]
    assert {fault.partition(":")[0] for fault in faults[1:]} == {
        "hue", "traffic_split", "min_duration_hours", "confidence_level",
    }  # fmt: skip


def test_second_deployment_is_a_conflict(two: Faces) -> None:
    with two.client as client:
        client.deploy(MODEL, "1.1.0")
        with pytest.raises(Conflict):
            client.deploy(MODEL, "1.1.0")


def test_every_fault_of_a_plan_is_told_at_once(two: Faces) -> None:
    with two.client as client, pytest.raises(InvalidInput) as refusal:
        client.deploy(MODEL, "1.1.0", shares=[0.5, 0.2], min_requests=0)

    assert len(refusal.value.faults) == 2


def test_field_of_the_wrong_type_is_named(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments",
        json={"model": MODEL, "challenger": "1.1.0", "shares": [0.1, "half"]},
    )

    assert answer.status_code == 422
    assert answer.json()["faults"] == ["shares: 'half' is no share; write such as 5% or 0.05"]


def test_unknown_field_is_refused(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments", json={"model": MODEL, "challenger": "1.1.0", "shore": 1}
    )

    assert answer.status_code == 422
    assert answer.json()["faults"] == ["shore: there is no such field; did you mean shares?"]


def test_forecast_tells_the_plan_and_begins_nothing(two: Faces) -> None:
    with two.client as client:
        found = client.forecast(MODEL, "1.1.0", error_odds=3.0)
        assert [step.name for step in found.forecast.steps] == ["shadow", "5 %", "25 %", "50 %"]
        assert len(found.words) == len(found.plan.steps) == 4
        assert "3 times the champion's errors" in found.words[-1]
        assert found.faults == ()
        assert "no request was seen" in found.summary
        assert {harm.harm for harm in found.forecast.harms} >= {"errors x 50", "latency +20 %"}
        assert list(client.deployments()) == []


def test_forecast_names_faults_instead_of_refusing(two: Faces) -> None:
    with two.client as client:
        found = client.forecast(MODEL, "1.1.0", unit="entity", entities=300)
        assert "there are 300" in found.faults[0]
        assert found.remedies
        with pytest.raises(InvalidInput, match="could not decide") as refusal:
            client.deploy(MODEL, "1.1.0", unit="entity", entities=300)
        assert refusal.value.faults == found.faults


def test_forecast_of_a_wrong_plan_is_refused(two: Faces) -> None:
    with two.client as client:
        with pytest.raises(InvalidInput):
            client.forecast(MODEL, "1.1.0", shares=[0.5, 0.2])
        with pytest.raises(NotFound):
            client.forecast(MODEL, "9.9.9")


def test_sdk_begins_what_a_file_says(two: Faces) -> None:
    asked = {"model": MODEL, "challenger": "1.1.0", "strategy": "rolling", "replicas": 4}
    with two.client as client:
        found = client.forecast(**asked, batch=2)
        begun = client.deploy(**asked, shadow=None)

    assert [step.name for step in found.forecast.steps] == ["shadow", "50 %"]
    assert any("breaker" in risk or "asks the version no more" in risk for risk in found.risks)
    assert [step.replicas for step in begun.plan.steps] == [0, 1, 2, 3]
    assert begun.plan_hash


def test_hash_is_frozen_before_the_first_request_and_read_again(two: Faces) -> None:
    begun = two.app.delivery.create(
        {"model": MODEL, "challenger": "1.1.0", "strategy": "ab_test"}, actor="test"
    )

    assert plan_hash(two.app.delivery.get(begun.id).plan) == begun.plan_hash


def test_unknown_model_is_404_whatever_its_version(two: Faces) -> None:
    asked = {"model": "nobody", "challenger": "1.0.0", "champion": "0.9.0"}
    for path in ("deployments", "api/deployments/forecast"):
        assert httpx.post(f"{two.url}/{path}", json=asked).status_code == 404


def test_body_that_is_no_table_is_refused(two: Faces) -> None:
    for path in ("deployments", "deployments/forecast", "deployments/canary"):
        for body in ("[]", "3", "null", "{", '"x"', ""):
            for form in ("json", "yaml"):
                kind = {"content-type": f"application/{form}"}
                answer = httpx.post(f"{two.url}/{path}", content=body, headers=kind)
                assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("canary", {**CANARY, "candidate_version": ""}),
        ("canary", {**CANARY, "model_name": ""}),
        ("canary", {**CANARY, "traffic_percentage": 10**400}),
        ("canary", {**CANARY, "entities": 10**400}),
        ("canary", {**CANARY, "label_window_seconds": 1e13}),
        ("canary", {**CANARY, "max_duration_hours": 1e306}),
        ("canary", {**CANARY, "min_samples": 10**30}),
        ("ab-test", {**CANARY, "candidate_version": ["1"], "traffic_split": {"1.1.0": 0.5}}),
    ],
    ids=["version", "model", "share", "entities", "window", "hours", "samples", "unhashable"],
)
def test_extreme_requests_are_refused_with_their_faults(
    two: Faces, path: str, asked: dict[str, object]
) -> None:
    content = json.dumps(asked)
    answer = httpx.post(
        f"{two.url}/deployments/{path}",
        content=content,
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["title"]
    assert httpx.get(f"{two.url}/deployments").json()["items"] == []


def test_faults_speak_in_the_words_of_the_request(two: Faces) -> None:
    asked = {**CANARY, "min_sample": 50, "max_duration_hours": 0, "traffic_split": 0.5}
    del asked["min_samples"]
    answer = httpx.post(f"{two.url}/deployments/canary", json=asked)
    own = httpx.post(
        f"{two.url}/deployments/ab-test",
        json={"model": MODEL, "challenger": "1.1.0", "max_hours": 1, "min_hour": 3},
    )

    assert [fault.partition(", and")[0] for fault in answer.json()["faults"]] == [
        "min_sample: there is no such field; did you mean min_samples?",
        answer.json()["faults"][1],
        "max_duration_hours: must be above 0",
    ]
    assert answer.json()["faults"][1].startswith("traffic_split: there is no such field")
    told = own.json()["faults"]
    assert "min_hour: there is no such field; did you mean min_duration_hours?" in told
    assert any(fault.startswith("max_hours: must be at least min_duration_hours") for fault in told)


def test_field_under_two_names_is_refused(two: Faces) -> None:
    answer = httpx.post(f"{two.url}/deployments/canary", json={**CANARY, "min_requests": 5})

    assert answer.status_code == 422
    assert answer.json()["faults"] == [
        "min_samples: min_requests is another name of the same; give one"
    ]


def test_plan_is_taken_as_yaml(two: Faces) -> None:
    plan = "model: fraud\nchallenger: 1.1.0\nshares: [5%, 0.5]\nclone: 10 %\n"
    kind = {"content-type": "application/yaml"}

    answer = httpx.post(f"{two.url}/deployments", content=plan, headers=kind)

    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["shares"] == [0.05, 0.5]
    assert answer.json()["spec"]["clone"] == 0.1


def test_plan_with_nothing_that_can_be_read_is_answered_at_once(two: Faces) -> None:
    plan = (
        "model_name: 3\ncandidate_version: [x]\nmin_samples: many\ntraffic_percentage: lots\n"
        "alphas: [1]\nreplicas: few\n"
    )
    kind = {"content-type": "application/yaml"}

    answer = httpx.post(f"{two.url}/deployments/canary", content=plan, headers=kind)

    assert answer.status_code == 422
    assert answer.json()["faults"] == [
        'model_name: must be text, not 3; put it in quotes, as "3" (line 1)',
        "candidate_version: must be text, not ['x'] (line 2)",
        "min_samples: must be a whole number, not 'many' (line 3)",
        "traffic_percentage: must be a percentage from 1 to below 100, such as 10; a smaller one "
        "with its sign, such as 0.5% (line 4)",
        "alphas: must be a table of numbers by guardrail, not [1] (line 5)",
        "replicas: must be a whole number, not 'few' (line 6)",
        "replicas: canary does not use it; rolling does (line 6)",
    ]


def test_field_that_the_strategy_ignores_is_refused_in_the_words_of_the_request(
    two: Faces,
) -> None:
    asked = {"model_name": MODEL, "candidate_version": "1.1.0"}
    for path, more, fault in (
        ("canary", {"batch": 2}, "batch: canary does not use it; rolling does"),
        ("blue-green", {"shares": [0.1]}, "shares: blue_green does not use it; canary does"),
        (
            "shadow",
            {"auto_promote": True},
            "auto_promote: shadow does not use it; blue_green, canary, rolling and ab_test do",
        ),
        (
            "ab-test",
            {"quality_points": 0.1, "min_samples": 900},
            "quality_points: an A/B test takes its sample from it, which min_samples says "
            "already; give one",
        ),
    ):
        answer = httpx.post(f"{two.url}/deployments/{path}", json={**asked, **more})

        assert answer.status_code == 422, answer.text
        assert answer.json()["faults"] == [fault]


def test_version_that_nobody_named_is_told_with_those_that_there_are(two: Faces) -> None:
    for path, word in (("", "challenger"), ("/canary", "candidate_version")):
        model = "model" if word == "challenger" else "model_name"
        for asked in ({model: MODEL}, {model: MODEL, word: ""}):
            answer = httpx.post(f"{two.url}/deployments{path}", json=asked)

            assert answer.status_code == 422
            assert answer.json()["faults"] == [
                f"{word}: missing; name the version to bring to traffic, one of 1.1.0"
            ]
    nothing = httpx.post(f"{two.url}/deployments", json={})
    assert nothing.json()["faults"] == [
        f"model: missing; name the model, one of {MODEL}",
        "challenger: missing; name the version to bring to traffic",
    ]
