from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import typer
from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus
from tests.client.desks import answering

from serinus import clock
from serinus.cli import jobs as job_commands
from serinus.client.jobs import Job as Asked
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.types import Job


def test_jobs_are_asked_for_listed_shown_and_cancelled(faces: Faces) -> None:
    def call(*arguments: str):
        return serinus("jobs", *arguments, home=faces.app.settings.home, control=faces.url)

    asked = call("train", "--data", "iris", "--model", MODEL, "--json").json
    assert asked["payload"]["target"] == "target"
    assert call("list", "--state", "queued", "--json").json["jobs"][0]["id"] == asked["id"]
    assert asked["id"] in call("show", asked["id"]).out
    assert call("cancel", asked["id"], "--json").json["state"] == "cancelled"
    assert call("list", "--state", "queued", "--json").json["jobs"] == []
    assert call("show", "nobody").code == 2


OPTIONS = (
    "--data", "iris", "--model", MODEL, "--target", "species", "--algorithm", "xgboost",
    "--param", "max_depth=3", "--test-size", "0.3", "--seed", "7", "--time-column", "day",
    "--version", "2.0.0", "--description", "of a year", "--reason", "asked for",
)  # fmt: skip


def test_a_worker_is_asked_for_all_that_a_training_takes(faces: Faces, tmp_path: Path) -> None:
    def call(*arguments: str):
        return serinus("jobs", *arguments, home=faces.app.settings.home, control=faces.url)

    asked = call("train", *OPTIONS, "--deploy", "--key", "yearly", "--json").json
    assert asked["payload"] == {
        "data": "iris", "model": MODEL, "target": "species", "algorithm": "xgboost",
        "params": {"max_depth": 3}, "test_size": 0.3, "seed": 7, "time_column": "day",
        "version": "2.0.0", "description": "of a year", "reason": "asked for", "deploy": True,
    }  # fmt: skip
    assert call("train", *OPTIONS, "--key", "yearly", "--json").json["id"] == asked["id"]
    assert call("train", *OPTIONS, "--param", "deep").code == 2
    # The worker's working folder is another.
    (tmp_path / "rows.csv").write_text("a,target\n1,2\n")
    near = os.path.relpath(tmp_path / "rows.csv")
    given = call("train", "--data", near, "--model", MODEL, "--json").json
    assert given["payload"]["data"] == str(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("end", "code", "words"),
    [
        (
            lambda jobs, job: jobs.finish(job, "w", {"model": MODEL, "version": "2.0.0"}),
            0,
            f"serinus deploy {MODEL} 2.0.0",
        ),
        (lambda jobs, job: jobs.fail(job, "w", "no such file", retry=False), 1, "no such file"),
        (lambda jobs, job: jobs.cancel(job.id), 1, "cancelled"),
    ],
    ids=["succeeded", "failed", "cancelled"],
)
def test_who_waits_for_a_job_is_told_by_the_exit_code(
    faces: Faces, end: Callable[[Jobs, Job], object], code: int, words: str
) -> None:
    def call(*arguments: str):
        return serinus("jobs", *arguments, home=faces.app.settings.home, control=faces.url)

    with faces.client as client:
        id = client.train("iris", MODEL).id
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(call, "watch", id)
        job = faces.app.jobs.claim("w")
        assert job is not None
        end(faces.app.jobs, job)
        waited = waiting.result(30)

    assert waited.code == code, waited.err
    assert words in waited.out
    # A look is no judgement.
    shown = call("show", id)
    assert shown.code == 0
    assert words in shown.out


def looked_at(state: str) -> tuple[int, str, bytes]:
    """The answer to a look at a job in this state."""
    at = clock.now()
    ended = None if state == "running" else at
    job = Asked("j", "train", "", {}, state, 1, 3, "half of it", {}, "", at, at, ended)
    return 200, "application/json", msgspec.json.encode(job)


@pytest.mark.parametrize(("end", "code"), [("succeeded", 0), ("failed", 1)])
def test_who_waits_for_a_job_outlasts_an_outage(
    end: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_commands, "_LOOK_SECONDS", 0.01)
    away = (502, "text/html", b"<h1>Bad gateway</h1>")
    running, ended = looked_at("running"), looked_at(end)
    # No call of this client outlasts anything: it is the looking that does.
    with answering(running, away, away, running, away, ended, patience=0.0) as (client, asked):
        try:
            job_commands._follow(client, "j", as_json=True)
            left = 0
        except typer.Exit as exit_:
            left = exit_.exit_code
    told = capsys.readouterr()
    assert (left, len(asked)) == (code, 6)
    assert msgspec.json.decode(told.out)["state"] == end
    assert told.err.splitlines() == ["running half of it"]
