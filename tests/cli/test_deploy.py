from __future__ import annotations

from pathlib import Path

from tests.api.running import MODEL, Faces
from tests.cli.calling import Answer, serinus

from serinus.registry.types import Stage


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


def two(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")


def test_deploy_begins_what_was_asked_for(faces: Faces) -> None:
    two(faces)

    answer = call(
        faces, "deploy", MODEL, "1.1.0", "--shares", "0.1,50%", "--no-shadow", "--min-requests",
        "7", "--soak-seconds", "3", "--json",
    )  # fmt: skip

    assert answer.code == 0, answer.err
    plan = answer.json["plan"]
    assert [step["share"] for step in plan["steps"]] == [0.1, 0.5]
    assert plan["soak_seconds"] == 3
    assert answer.json["requested_by"] == "cli"
    listed = call(faces, "deployments", "list", "--model", MODEL, "--json").json
    assert [item["id"] for item in listed["deployments"]] == [answer.json["id"]]


def test_deploy_with_a_wrong_share_is_2(faces: Faces) -> None:
    two(faces)

    words = call(faces, "deploy", MODEL, "1.1.0", "--shares", "ten")
    bare = call(faces, "deploy", MODEL, "1.1.0", "--shares", "0.05,25")
    order = call(faces, "deploy", MODEL, "1.1.0", "--shares", "50%,10%")

    assert (words.code, bare.code, order.code) == (2, 2, 2)
    assert "shares: 'ten' is no share; write such as 5% or 0.05" in words.err
    assert "shares: 25 is no share; write 25% or 0.25" in bare.err
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


SPEC = """
model: fraud
challenger: 1.1.0
strategy: rolling
replicas: 4
batch: 2
shadow: false
approvals: true
"""


def test_deploy_by_a_file_that_names_the_model(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    spec = tmp_path / "plan.yaml"
    spec.write_text(SPEC)

    dry = call(faces, "deploy", "--spec", str(spec), "--dry-run")
    begun = call(faces, "deploy", "--spec", str(spec), "--no-approvals", "--json")

    assert dry.code == 0, dry.err
    assert "50 %" in dry.out
    assert "Mind: It waits for a person" in dry.out
    assert begun.code == 0, begun.err
    (step,) = begun.json["plan"]["steps"]
    assert (step["share"], step["replicas"], step["approval"]) == (0.5, 2, False)


def test_options_stand_above_fields_stand_above_the_file(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    spec = tmp_path / "plan.json"
    spec.write_text('{"strategy": "canary", "max_hours": 3, "shares": [0.1], "error_odds": 3}')
    options = ("--spec", str(spec), "--with", "shares=[0.2, 0.4]", "--with", "error_odds=4")

    answer = call(faces, "deploy", MODEL, "1.1.0", *options, "--error-odds", "5", "--json")

    assert answer.code == 0, answer.err
    asked = answer.json["spec"]
    assert (asked["shares"], asked["max_hours"], asked["error_odds"]) == ([0.2, 0.4], 3, 5)


def test_ab_test_by_options(faces: Faces) -> None:
    two(faces)
    faces.register("1.2.0")
    options = (
        "--strategy",
        "ab-test",
        "--others",
        "1.2.0",
        "--split",
        "20%,0.3",
        "--min-hours",
        "1",
    )

    answer = call(faces, "deploy", MODEL, "1.1.0", *options, "--metric", "latency", "--json")
    shown = call(faces, "deploy", MODEL, "1.1.0", *options, "--dry-run")

    assert answer.code == 0, answer.err
    test = answer.json["plan"]["experiment"]
    assert (test["challengers"], test["split"]) == (["1.1.0", "1.2.0"], [0.2, 0.3])
    assert shown.code == 2
    assert "another deployment of fraud is live" in shown.out
    assert "after 72 h at the latest" in " ".join(shown.out.split())


def test_every_fault_is_told_at_once(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    spec = tmp_path / "plan.toml"
    spec.write_text('shares = [0.5, 0.1]\ncolour = "red"\nalphas = { beauty = 0.1 }\n')

    answer = call(faces, "deploy", MODEL, "9.9.9", "--spec", str(spec), "--with", "max_hours=0")

    assert answer.code == 2
    for words in ("9.9.9", "colour: there is no", "alphas.beauty", "larger than", "max_hours"):
        assert words in answer.err


def test_deploy_of_nothing_named_is_2(faces: Faces) -> None:
    answer = call(faces, "deploy", MODEL)

    assert answer.code == 2
    assert "version (challenger): missing; name the version" in answer.err


def test_faults_that_cannot_be_sent_are_told_with_the_others(faces: Faces, tmp_path: Path) -> None:
    spec = tmp_path / "plan.yaml"
    spec.write_text("chalenger: 1.1.0\nmodel: nosuch\nsoak_seconds: -1\nlabels: perhaps\n")

    sent = call(faces, "deploy", "nosuch", "9.9.9", "--shares", "50%,20%,150%", "--max-hours", "0")
    unsent = call(
        faces, "deploy", "--spec", str(spec), "--shares", "ten", "--split", "nan", "--with", "x",
        "--max-hours", "0",
    )  # fmt: skip

    assert (sent.code, unsent.code) == (2, 2)
    for words in ("nosuch", "between 0 and 1", "larger than the one before", "max_hours"):
        assert words in sent.err, words
    for words in (
        "did you mean challenger? (line 1)", "version (challenger): m", "soak_seconds",
        "not 'perhaps' (line 4)",
        "max_hours", "shares: 'ten' is no share", "split: 'nan' is no share", "--with: 'x' is not",
    ):  # fmt: skip
        assert words in unsent.err, words


def test_plan_with_a_field_twice_is_refused_with_its_lines(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    spec = tmp_path / "plan.yaml"
    spec.write_text("soak_seconds: 5\nmax_hours: 1\nsoak_seconds: 6\n")

    answer = call(faces, "deploy", MODEL, "1.1.0", "--spec", str(spec))

    assert answer.code == 2
    assert "soak_seconds is given twice, in lines 1 and 3" in answer.err


def test_faults_of_a_dry_run_name_their_lines(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    spec = tmp_path / "plan.yaml"
    spec.write_text("max_hours: 0\nquality_tolerance: 0.03\nlabels: true\nsoak_seconds: -1\n")
    options = ("--spec", str(spec), "--soak-seconds=-2", "--dry-run", "--json")

    answer = call(faces, "deploy", MODEL, "1.1.0", *options)

    assert answer.code == 2
    told = answer.json["error"]["faults"]

    assert "max_hours: must be above 0, and at most ten years (line 1)" in told
    assert (
        "quality_tolerance: must lie between 0 and quality_points, which the gates exclude; it is "
        "0.03, quality_points is 0.02 (line 2)" in told
    )
    assert "soak_seconds: must not be negative, and at most ten years" in told
