from __future__ import annotations

from pathlib import Path

import pytest
from tests.api.running import MODEL, Faces
from tests.cli.calling import Answer, serinus

from serinus.cli import deploy as deploying
from serinus.errors import InvalidInput
from serinus.registry.types import Stage


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


def two(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")


def test_deploy_begins_what_was_asked_for(faces: Faces) -> None:
    two(faces)

    answer = call(
        faces, "deploy", MODEL, "1.1.0", "--shares", "10,50%", "--no-shadow", "--min-requests", "7",
        "--soak-seconds", "3", "--json",
    )  # fmt: skip

    assert answer.code == 0, answer.err
    plan = answer.json["plan"]
    assert [step["share"] for step in plan["steps"]] == [0.1, 0.5]
    assert plan["soak_seconds"] == 3
    assert answer.json["requested_by"] == "cli"
    listed = call(faces, "deployments", "list", "--model", MODEL, "--json").json
    assert [item["id"] for item in listed["deployments"]] == [answer.json["id"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.05", "0.05 is 0.05 %; write 5 for 5 %"),
        ("0.05,0.5", "0.05 is 0.05 %; write 5 for 5 %"),
        ("0,50", "0 % is no part of the traffic"),
        ("5,100", "100 % is no part of the traffic"),
        ("nan", "nan % is no part of the traffic"),
        ("5,", "'5,' is no list of percentages"),
    ],
)
def test_shares_that_are_no_percentages_are_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        deploying._shares(text)
    assert (refusal.value.what, refusal.value.where) == (said, "--shares")


def test_shares_may_begin_below_one_percent() -> None:
    assert deploying._shares("0.5, 5,50%") == [0.005, 0.05, 0.5]


def test_deploy_with_a_wrong_share_is_2(faces: Faces) -> None:
    two(faces)

    words = call(faces, "deploy", MODEL, "1.1.0", "--shares", "ten")
    order = call(faces, "deploy", MODEL, "1.1.0", "--shares", "50,10")

    assert (words.code, order.code) == (2, 2)
    assert "percentages" in words.err
    assert "larger than the one before" in order.err


def test_dry_run_begins_nothing(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    policy = tmp_path / "policy.yaml"
    policy.write_text("shares: [0.2, 0.5]\nclass_odds: 2.0\nerror_odds: 9.0\n")
    options = ("--policy", str(policy), "--error-odds", "4", "--latency-ratio", "1.4")

    answer = call(faces, "deploy", MODEL, "1.1.0", *options, "--dry-run")
    plan = call(faces, "deploy", MODEL, "1.1.0", *options, "--dry-run", "--json").json["plan"]

    assert answer.code == 0, answer.err
    for words in ("The plan", "20 %", "errors x 50", "class mix", "no request was seen"):
        assert words in answer.out
    assert [step["share"] for step in plan["steps"]] == [0.0, 0.2, 0.5]
    assert plan["steps"][-1]["gate"]["error_odds"] == 4
    assert plan["latency"]["last_ratio"] == 1.4
    assert call(faces, "deployments", "list", "--json").json["deployments"] == []


def test_dry_run_of_what_would_be_refused_is_2(faces: Faces) -> None:
    two(faces)

    answer = call(
        faces, "deploy", MODEL, "1.1.0", "--unit", "entity", "--entities", "300", "--dry-run"
    )

    assert answer.code == 2
    assert "Refused: step 1" in answer.out
    assert "unit=request" in answer.out
