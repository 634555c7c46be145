from __future__ import annotations

import re
import shlex
from datetime import timedelta

import pytest
from msgspec import structs
from sqlalchemy import update
from tests.api.running import MODEL, Faces
from tests.api.test_interventions import pass_gate
from tests.cli.calling import Answer, serinus

from serinus import clock
from serinus.cli.interventions import sentence
from serinus.client.types import Ahead
from serinus.registry.types import Stage
from serinus.store import schema


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


def refused(faces: Faces, verb: str, deployment: str) -> list[str]:
    """The command that the refusal of a verb leads to."""
    answer = call(faces, "deployments", verb, deployment)
    assert answer.code == 2, answer.out
    assert answer.out == ""
    named = re.search(r"serinus (?!: )(\w+ .*[^.\s])\.?\s*$", answer.err)
    assert named is not None, answer.err
    return shlex.split(named[1])


def follow(faces: Faces, command: list[str]) -> None:
    """It works as things stand."""
    answer = call(faces, *command)
    assert answer.code == 0, (command, answer.err)
    assert " already " not in answer.out


@pytest.fixture
def begun(faces: Faces) -> str:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        return client.deploy(MODEL, "1.1.0", approvals=True, soak_seconds=60.0).id


def test_approve_and_retry(faces: Faces, begun: str) -> None:
    faces.report("1.0.0", "1.1.0")
    assert refused(faces, "approve", begun) == ["deployments", "promote", begun]
    pass_gate(faces, begun)
    answer = call(faces, "deployments", "approve", begun, "--reason", "fine", "--json")
    assert (answer.json["phase"], answer.json["step"]) == ("running", 1)
    assert call(faces, "deployments", "abort", MODEL, "--json").json["phase"] == "aborted"
    # A model stands for its newest deployment.
    said = call(faces, "deployments", "retry", MODEL, "--reason", "once more")
    assert said.code == 0
    assert "is pending" in said.out
    nobody = call(faces, "deployments", "pause", "nobody")
    assert nobody.code == 2
    assert "neither a deployment nor a model" in nobody.err


def test_every_remedy_works_from_the_beginning_to_the_end(faces: Faces, begun: str) -> None:
    for verb in ("pause", "resume", "approve", "promote", "retry"):
        assert refused(faces, verb, begun) == ["deployments", "abort", begun]

    faces.report("1.0.0", "1.1.0")
    follow(faces, refused(faces, "retry", begun))
    call(faces, "deployments", "pause", begun)
    assert refused(faces, "retry", begun) == refused(faces, "approve", begun)
    follow(faces, refused(faces, "approve", begun))
    follow(faces, refused(faces, "approve", begun))
    for verb in ("pause", "approve", "retry"):
        assert refused(faces, verb, begun) == ["deployments", "abort", begun]
    follow(faces, refused(faces, "approve", begun))

    for verb in ("pause", "resume", "approve", "promote"):
        assert refused(faces, verb, begun) == ["deployments", "retry", begun]
    follow(faces, refused(faces, "pause", begun))
    faces.report("1.0.0", "1.1.0")
    call(faces, "deployments", "promote", begun)
    _end_the_soak(faces, begun)
    assert faces.app.delivery.get(begun).phase == "succeeded"

    for verb in ("pause", "resume", "approve", "abort", "retry"):
        assert refused(faces, verb, begun) == ["rollback", MODEL, "--to", "1.0.0"]
    follow(faces, refused(faces, "abort", begun))
    assert refused(faces, "retry", begun) == ["deploy", MODEL, "1.1.0"]
    follow(faces, refused(faces, "retry", begun))
    follow(faces, refused(faces, "retry", begun))


def test_what_holds_it_now_is_told_with_the_command(faces: Faces, begun: str) -> None:
    approve = f"serinus deployments approve {begun}\n"
    faces.report("1.0.0", "1.1.0")
    paused = call(faces, "deployments", "pause", begun).out
    assert f"serinus deployments resume {begun}" in paused
    resumed = call(faces, "deployments", "resume", begun)
    assert "pairs of this step are still to come" in resumed.out
    # Its gate passes meanwhile: whoever asks again is told whom it waits for.
    pass_gate(faces, begun)
    again = call(faces, "deployments", "resume", begun)
    assert again.code == 0
    assert "is already paused at shadow. " in again.out
    assert again.out.endswith(f"Its gate has passed, and it waits for an approval: {approve}")
    told = call(faces, "deployments", "resume", begun, "--json").json
    assert (told["id"], told["ahead"]["waits_for"]) == (begun, "person")
    approved = call(faces, "deployments", "approve", begun).out
    assert "is running at" in approved
    assert "requests of this step are still to come" in approved
    ended = call(faces, "deployments", "abort", begun, "--json").json
    assert (ended["phase"], ended["ahead"]) == ("aborted", None)


@pytest.mark.parametrize("approvals", [True, False])
def test_a_gate_that_has_just_passed_is_told(faces: Faces, *, approvals: bool) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        id = client.deploy(MODEL, "1.1.0", approvals=approvals).id
        faces.report("1.0.0", "1.1.0")
        status = client.deployment(id)

    passed = structs.replace(status, ahead=Ahead("controller", "Everything is there."))

    assert sentence(passed) == "Its gate has passed; " + (
        f"it will wait for an approval: serinus deployments approve {id}"
        if approvals
        else "it goes on by itself."
    )


def _end_the_soak(faces: Faces, deployment: str) -> None:
    earlier = clock.now() - timedelta(seconds=90)
    here = schema.deployments.c.id == deployment
    with faces.app.engine.begin() as connection:
        connection.execute(update(schema.deployments).where(here).values(step_entered_at=earlier))
    faces.report("1.0.0", "1.1.0")


def test_what_is_so_already_is_said_and_no_failure(faces: Faces, begun: str) -> None:
    faces.report("1.0.0", "1.1.0")
    for verb, phase in (
        ("resume", "running"), ("pause", "paused"), ("resume", "running"), ("abort", "aborted"),
        ("retry", "pending"),
    ):  # fmt: skip
        call(faces, "deployments", verb, begun)
        twice = call(faces, "deployments", verb, begun)
        assert (twice.code, f"is already {phase} at" in twice.out) == (0, True), twice.out
    faces.report("1.0.0", "1.1.0")
    call(faces, "deployments", "promote", begun)
    for verb in ("promote", "resume"):
        assert "is already soaking" in call(faces, "deployments", verb, begun).out
    placed = call(faces, "models", "promote", MODEL, "1.1.0", "--stage", "Production")
    assert placed.code == 2
