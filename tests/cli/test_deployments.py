from __future__ import annotations

from pathlib import Path

from sqlalchemy import update
from tests.api.running import MODEL, Faces
from tests.cli.calling import Answer, serinus

from serinus.registry.types import Stage
from serinus.store import schema


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


def two(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")


def deploy(faces: Faces) -> str:
    with faces.client as client:
        return client.deploy(MODEL, "1.1.0").id


def test_interventions_and_history(faces: Faces) -> None:
    two(faces)
    begun = call(faces, "deploy", MODEL, "1.1.0", "--no-shadow", "--json").json["id"]
    faces.report("1.0.0", "1.1.0")

    for verb, phase in (("pause", "paused"), ("resume", "running"), ("promote", "soaking")):
        answer = call(faces, "deployments", verb, begun, "--reason", verb, "--json")
        assert answer.json["phase"] == phase
    done = call(faces, "rollback", MODEL, "--reason", "complaints", "--json")
    assert (done.json["from"], done.json["to"]) == ("1.1.0", "1.0.0")
    history = call(faces, "deployments", "history", begun, "--json").json["history"]
    assert [move["to_phase"] for move in history][-4:] == [
        "paused",
        "running",
        "soaking",
        "rolled_back",
    ]
    assert "complaints" in call(faces, "deployments", "history", begun).out
    assert call(faces, "deployments", "abort", begun).code == 2


def test_status_shows_guardrails_in_words(faces: Faces) -> None:
    two(faces)
    begun = call(faces, "deploy", MODEL, "1.1.0", "--no-shadow", "--json").json["id"]
    faces.report("1.0.0", "1.1.0")
    faces.traffic(100, 6)

    answer = call(faces, "deployments", "status", begun)

    assert answer.code == 0
    for words in ("running", "champion", "100", "errors", "harm"):
        assert words in answer.out


def test_replay_is_0_only_if_it_is_exact(faces: Faces) -> None:
    two(faces)
    begun = call(faces, "deploy", MODEL, "1.1.0", "--no-shadow", "--json").json["id"]
    faces.report("1.0.0", "1.1.0")
    faces.traffic(100, 10)

    exact = call(faces, "deployments", "replay", MODEL)
    with faces.app.engine.begin() as connection:
        connection.execute(update(schema.verdicts).values(requests=7))
    changed = call(faces, "deployments", "replay", begun, "--json")

    assert (exact.code, changed.code) == (0, 1)
    assert "bit for bit" in exact.out
    assert changed.json["exact"] is False
    assert changed.json["mismatches"]
    assert call(faces, "deployments", "replay", "none").code == 2


def test_whatif_reads_a_policy(faces: Faces, tmp_path: Path) -> None:
    two(faces)
    begun = call(faces, "deploy", MODEL, "1.1.0", "--no-shadow", "--json").json["id"]
    faces.report("1.0.0", "1.1.0")
    faces.traffic(100, 10)
    policy = tmp_path / "policy.toml"
    policy.write_text("error_odds = 20.0\n")

    answer = call(faces, "deployments", "whatif", MODEL, "--policy", str(policy))
    assert answer.code == 0, answer.err
    assert "under the other policy" in answer.out
    policy.write_text("shares = [0.5]\nodds = 3\n")
    refused = call(faces, "deployments", "whatif", begun, "--policy", str(policy))
    missing = call(faces, "deployments", "whatif", begun, "--policy", str(tmp_path / "no.toml"))

    assert (refused.code, missing.code) == (2, 2)
    assert "shares" in refused.err
    assert "odds" in refused.err
    assert "cannot be read" in missing.err
