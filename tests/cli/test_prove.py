from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.api.running import Faces
from tests.cli.calling import serinus

from serinus.registry.types import Stage
from serinus.wire import Arm, Assignment, Output, Prediction


def test_prove_alone_lists_the_claims(tmp_path: Path) -> None:
    answer = serinus("prove", home=tmp_path)
    assert answer.code == 0
    assert "promote" in answer.out
    listed = serinus("prove", "--json", home=tmp_path)
    assert [claim["claim"] for claim in listed.json["claims"]][:2] == ["aa", "margin"]


def test_prove_ends_with_one_line_of_json(tmp_path: Path) -> None:
    shown = serinus("prove", "ratio", "--reps", "60", "--seed", "3", home=tmp_path)
    only = serinus("prove", "ratio", "--reps", "60", "--seed", "3", "--json", home=tmp_path)
    assert "caught within 1,300 keys" in shown.out
    assert len(only.out.splitlines()) == 1
    for key in ("claim", "limit", "ours", "others", "passed", "bars", "seed"):
        assert shown.json[key] == only.json[key], key
    assert only.json["passed"]
    assert only.code == shown.code == 0
    assert "ratio, sound: 60 of 60 runs" in only.err


def test_prove_that_fails_ends_with_one(tmp_path: Path) -> None:
    # Five runs cannot show an error rate below 2 %.
    answer = serinus("prove", "entities", "--reps", "5", "--json", home=tmp_path)
    assert answer.code == 1
    assert not answer.json["passed"]


def test_prove_of_an_unknown_claim_names_the_known(tmp_path: Path) -> None:
    answer = serinus("prove", "magic", home=tmp_path)
    assert answer.code == 2
    assert "drifting" in answer.err


def test_prove_is_left_by_an_interruption(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serinus", "--home", str(tmp_path), "prove", "aa"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        # As Ctrl-C does: everyone of the terminal hears it, once the workers are at work.
        line = running.stderr.readline()
        os.killpg(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, line + err
    assert "Traceback" not in err
    assert not [json.loads(text) for text in out.splitlines() if text.startswith("{")]


def test_prove_on_recorded_traffic_uses_the_installations_own_plan(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    assignment = Assignment("fraud", Arm.CHAMPION, 0.0, 1)
    faces.writer.append(
        [
            Prediction(at, assignment, "1.0.0", (1.0, 2.0), Output(0, (0.9, 0.1)), 800 + at % 90)
            for at in range(1_200)
        ]
    )
    home = faces.app.settings.home
    answer = serinus("prove", "aa", "--ledger", "--reps", "80", "--json", home=home)
    assert answer.json["ours"]["figure"] <= 0.05, answer.err
    assert answer.json["statement"].startswith("The default plan would take an equal challenger")
    assert answer.json["notes"]["the traffic"]["requests"] == 1_200
    assert set(answer.json["others"]) >= {"four tests re-run", "Flagger", "GrowthBook"}
    assert answer.code == (0 if answer.json["passed"] else 1)
    other = serinus("prove", "aa", "--ledger", "--model", "churn", home=home)
    assert other.code == 2
    assert "fraud" in other.err


def test_prove_on_recorded_traffic_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    missing = serinus("prove", "aa", "--ledger", home=tmp_path)
    assert missing.code == 2
    assert "ledger" in missing.err
    other = serinus("prove", "power", "--ledger", home=tmp_path)
    assert other.code == 2
    assert "prove aa --ledger" in other.err
