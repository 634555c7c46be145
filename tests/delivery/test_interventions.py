"""What a person may ask of a deployment: in every state done, done already, or refused."""

from __future__ import annotations

import msgspec
import pytest
from tests.delivery.samples import NOON, deployment

from serinus.delivery import interventions
from serinus.delivery.reconcile import Decision
from serinus.delivery.types import (
    LIVE,
    TRANSITIONS,
    Deployment,
    Outcome,
    Phase,
    Transition,
    Verdict,
)
from serinus.errors import Conflict

COMMANDS = {
    "pause": (interventions.pause, Phase.PAUSED),
    "resume": (interventions.resume, Phase.RUNNING),
    "promote": (interventions.promote, Phase.SOAKING),
    "abort": (interventions.abort, Phase.ABORTED),
}


# Moves that only the gateways' having loaded the challenger allows.
NOT_BY_HAND = {("resume", Phase.PENDING), ("promote", Phase.PENDING)}


def standing(phase: Phase, step: int = 0, verdict: Outcome = Outcome.CONTINUE) -> Deployment:
    ended = None if phase in LIVE else NOON
    return deployment(phase=phase, step=step, verdict=verdict, ended_at=ended)


def came(from_phase: Phase, to: Phase, verdict: Outcome = Outcome.CONTINUE) -> Transition:
    return Transition(from_phase, to, 0, NOON, "t", verdict, "because")


def judged(outcome: Outcome = Outcome.CONTINUE) -> Verdict:
    return Verdict(outcome, "because of that", 10, 0.05, ())


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_are_done_or_refused_in_every_phase(command: str, phase: Phase) -> None:
    decide, target = COMMANDS[command]
    subject = standing(phase)
    if phase is target:
        assert decide(subject) is None
        return
    if target in TRANSITIONS[phase] and (command, phase) not in NOT_BY_HAND:
        decision = decide(subject)
        assert decision is not None
        assert decision.phase is target
    else:
        with pytest.raises(Conflict, match=f"{phase} cannot become {target}") as refusal:
            decide(subject)
        assert refusal.value.remedy


def test_resume_is_no_approval() -> None:
    with pytest.raises(Conflict, match="waits for an approval") as refusal:
        interventions.resume(standing(Phase.PAUSED, verdict=Outcome.PROMOTE))
    assert "serinus deployments approve d1" in refusal.value.remedy


def test_approve_leads_where_the_gate_leads() -> None:
    last = came(Phase.RUNNING, Phase.PAUSED, Outcome.PROMOTE)
    first = interventions.approve(standing(Phase.PAUSED, 0, Outcome.PROMOTE), last)
    assert first == Decision(Phase.RUNNING, 1, Outcome.PROMOTE, "")
    end = interventions.approve(standing(Phase.PAUSED, 3, Outcome.PROMOTE), last)
    assert end == Decision(Phase.SOAKING, 4, Outcome.PROMOTE, "")
    subject = standing(Phase.PAUSED, 3, Outcome.PROMOTE)
    finding = msgspec.structs.replace(
        subject, plan=msgspec.structs.replace(subject.plan, promotes=False)
    )
    found = interventions.approve(finding, last)
    assert found == Decision(Phase.SUCCEEDED, 3, Outcome.PROMOTE, "")


def test_approve_twice_is_done_once() -> None:
    last = came(Phase.PAUSED, Phase.RUNNING, Outcome.PROMOTE)
    assert interventions.approve(standing(Phase.RUNNING, 1, Outcome.PROMOTE), last) is None


def test_approve_of_what_was_aborted_while_it_waited_is_refused() -> None:
    last = came(Phase.PAUSED, Phase.ABORTED, Outcome.PROMOTE)
    with pytest.raises(Conflict, match="the deployment is aborted"):
        interventions.approve(standing(Phase.ABORTED, 1, Outcome.PROMOTE), last)


def test_promote_of_a_first_version_waits_for_nobody() -> None:
    first = msgspec.structs.replace(standing(Phase.PENDING), champion=None)
    decision = interventions.promote(first)
    assert decision is not None
    assert decision.phase is Phase.SOAKING


@pytest.mark.parametrize("phase", Phase)
def test_approve_is_refused_where_no_gate_waits(phase: Phase) -> None:
    with pytest.raises(Conflict, match="no gate waits") as refusal:
        interventions.approve(standing(phase), came(Phase.PENDING, phase))
    assert refusal.value.remedy


def test_promote_of_what_was_only_to_find_out_is_refused_at_its_end() -> None:
    with pytest.raises(Conflict, match="succeeded cannot become soaking"):
        interventions.promote(standing(Phase.SUCCEEDED, step=0))
    assert interventions.promote(standing(Phase.SUCCEEDED, step=4)) is None


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.INCONCLUSIVE, Phase.ROLLED_BACK])
@pytest.mark.parametrize(("step", "onward"), [(0, 0), (2, 2), (4, 3)])
def test_retry_goes_on_at_its_step(phase: Phase, step: int, onward: int) -> None:
    decision = interventions.retry(
        standing(phase, step), newest="d1", champion="1.0.0", verdict=judged()
    )
    assert decision == Decision(Phase.PENDING, onward, Outcome.NO_DATA, "")


@pytest.mark.parametrize("phase", sorted(LIVE))
def test_retry_of_a_live_one_is_done_already(phase: Phase) -> None:
    one = standing(phase)
    assert interventions.retry(one, newest="d1", champion="1.1.0", verdict=judged()) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"newest": "d2"}, "newer deployment, d2"),
        ({"champion": "1.2.0"}, "its champion was 1.0.0, and now it is 1.2.0"),
        ({"verdict": judged(Outcome.ROLLBACK)}, "would end it at once. because of that"),
        ({"verdict": judged(Outcome.INCONCLUSIVE)}, "would end it at once. because of that"),
    ],
    ids=["newer", "champion", "harm", "crooked"],
)
def test_retry_is_refused_where_it_leads_nowhere(changes: dict[str, object], why: str) -> None:
    known: dict[str, object] = {"newest": "d1", "champion": "1.0.0", "verdict": judged()}
    with pytest.raises(Conflict) as refusal:
        interventions.retry(standing(Phase.ABORTED), **{**known, **changes})  # type: ignore[arg-type]
    assert why in refusal.value.what
    assert refusal.value.remedy


def test_retry_of_a_success_is_refused() -> None:
    with pytest.raises(Conflict, match="succeeded cannot become pending"):
        interventions.retry(
            standing(Phase.SUCCEEDED, 4), newest="d1", champion="1.1.0", verdict=judged()
        )


def test_what_cannot_be_read_can_only_be_held_or_ended() -> None:
    held = deployment(phase=Phase.PAUSED, unreadable="Expected `array`")
    for command in ("resume", "promote"):
        with pytest.raises(Conflict, match="cannot be read") as refusal:
            COMMANDS[command][0](held)
        assert f"serinus deployments abort {held.id}" in refusal.value.remedy
    gate = msgspec.structs.replace(held, verdict=Outcome.PROMOTE)
    with pytest.raises(Conflict, match="cannot be read"):
        interventions.approve(gate, came(Phase.RUNNING, Phase.PAUSED, Outcome.PROMOTE))
    ended = msgspec.structs.replace(held, phase=Phase.ABORTED, ended_at=NOON)
    with pytest.raises(Conflict, match="cannot be read") as refusal:
        interventions.retry(ended, newest=held.id, champion="1.0.0", verdict=judged())
    assert "Create a new deployment" in refusal.value.remedy
    assert interventions.abort(held) is not None
