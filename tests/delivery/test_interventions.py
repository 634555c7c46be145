"""What a person may ask of a deployment: in every state done, done already, or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import NOON, deployment

from serinus.delivery import interventions
from serinus.delivery.interventions import Around
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

# Moves that only the gateways' having loaded the challenger allows.
NOT_BY_HAND = {("resume", Phase.PENDING), ("promote", Phase.PENDING)}


def standing(phase: Phase, step: int = 0, verdict: Outcome = Outcome.CONTINUE) -> Deployment:
    ended = None if phase in LIVE else NOON
    return deployment(phase=phase, step=step, verdict=verdict, ended_at=ended)


def came(from_phase: Phase, to: Phase, verdict: Outcome = Outcome.CONTINUE) -> Transition:
    return Transition(from_phase, to, 0, NOON, "t", verdict, "because")


def moves(*steps: int) -> list[Transition]:
    """The rows of a rollout that came to these steps one after the other."""
    row = came(Phase.RUNNING, Phase.RUNNING)
    return [msgspec.structs.replace(row, step=step) for step in steps]


def soaked() -> list[Transition]:
    """The rows of its soak, and of the end in it."""
    given = came(Phase.RUNNING, Phase.SOAKING, Outcome.PROMOTE)
    back = came(Phase.SOAKING, Phase.ROLLED_BACK)
    return [msgspec.structs.replace(row, step=4) for row in (given, back)]


GATE_PASSED = [
    came(Phase.PENDING, Phase.RUNNING, Outcome.NO_DATA),
    came(Phase.RUNNING, Phase.PAUSED, Outcome.PROMOTE),
]

COMMANDS = {
    "pause": (interventions.pause, Phase.PAUSED),
    "resume": (lambda subject: interventions.resume(subject, GATE_PASSED), Phase.RUNNING),
    "promote": (interventions.promote, Phase.SOAKING),
    "abort": (interventions.abort, Phase.ABORTED),
}


def judged(outcome: Outcome = Outcome.CONTINUE) -> Verdict:
    return Verdict(outcome, "because of that", 10, 0.05, ())


@dataclass(frozen=True)
class Known:
    """All that is around a deployment, known beforehand."""

    newest: str
    live: str | None
    champion: str | None
    verdict: Verdict
    again: bool = False
    onward: int = 0


def around(**changes: object) -> Known:
    """Nothing else is there, and nothing speaks against a retry."""
    known: dict[str, object] = {
        "newest": "d1", "live": None, "champion": "1.0.0", "verdict": judged(), **changes
    }  # fmt: skip
    return Known(**known)  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_are_done_or_refused_in_every_phase(command: str, phase: Phase) -> None:
    decide, target = COMMANDS[command]
    subject = standing(phase)
    if phase is target or (command, phase) == ("resume", Phase.SOAKING):
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
        interventions.resume(standing(Phase.PAUSED, verdict=Outcome.PROMOTE), GATE_PASSED)
    assert "serinus deployments approve d1" in refusal.value.remedy
    approved = came(Phase.PAUSED, Phase.RUNNING, Outcome.PROMOTE)
    with pytest.raises(Conflict, match="waits for an approval"):
        interventions.resume(
            standing(Phase.PAUSED, verdict=Outcome.PROMOTE), [approved, GATE_PASSED[-1]]
        )


def test_resume_again_is_done_though_the_gate_has_passed_meanwhile() -> None:
    resumed = came(Phase.PAUSED, Phase.RUNNING)
    waiting = standing(Phase.PAUSED, verdict=Outcome.PROMOTE)
    assert interventions.resume(waiting, [resumed, GATE_PASSED[-1]]) is None


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


def test_approve_of_a_step_lets_no_later_gate_through() -> None:
    last = came(Phase.RUNNING, Phase.PAUSED, Outcome.PROMOTE)
    second = standing(Phase.PAUSED, 1, Outcome.PROMOTE)
    assert interventions.approve(second, last, 0) is None
    assert interventions.approve(second, last, 1) == interventions.approve(second, last)
    with pytest.raises(Conflict, match="step 2 is not reached yet: the deployment is at step 1"):
        interventions.approve(second, last, 2)


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
    with pytest.raises(Conflict, match=r"cannot promote: .*succeeded cannot become soaking"):
        interventions.promote(standing(Phase.SUCCEEDED, step=0))
    assert interventions.promote(standing(Phase.SUCCEEDED, step=4)) is None


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.INCONCLUSIVE, Phase.ROLLED_BACK])
@pytest.mark.parametrize("step", [0, 2])
def test_retry_goes_on_at_its_step(phase: Phase, step: int) -> None:
    ended = standing(phase, step)
    assert interventions.retried_step(ended, moves(0, 1, 2)) == step
    decision = interventions.retry(ended, around(onward=step))
    assert decision == Decision(Phase.PENDING, step, Outcome.NO_DATA, "")


@pytest.mark.parametrize(
    ("steps", "onward"),
    [((0, 1, 2, 3), 3), ((0,), 0), ((0, 1), 1), ((0, 1, 2, 3, 4, 4, 0), 0), ((), 0)],
    ids=["on evidence", "promoted at once", "promoted at 1", "promoted after a retry", "unknown"],
)
def test_retry_passes_again_the_gate_that_led_to_the_soak(
    steps: tuple[int, ...], onward: int
) -> None:
    """Whom a person gave all traffic at the first step has not earned the last one."""
    ended = standing(Phase.ROLLED_BACK, 4)
    assert interventions.retried_step(ended, [*moves(*steps), *soaked()]) == onward


@pytest.mark.parametrize("phase", sorted(LIVE))
def test_retry_is_done_already_or_there_was_nothing_to_take_up_again(phase: Phase) -> None:
    one = standing(phase)
    assert interventions.retry(one, around(champion="1.1.0", again=True)) is None
    with pytest.raises(Conflict, match=f"it is {phase} and never ended"):
        interventions.retry(one, around(champion="1.1.0"))


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
    with pytest.raises(Conflict) as refusal:
        interventions.retry(standing(Phase.ABORTED), around(**changes))
    assert why in refusal.value.what
    assert refusal.value.remedy


def test_retry_of_a_success_is_refused() -> None:
    with pytest.raises(Conflict, match="succeeded cannot become pending"):
        interventions.retry(standing(Phase.SUCCEEDED, 4), around(champion="1.1.0"))


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
        interventions.retry(ended, around(newest=held.id))
    assert "Create a new deployment" in refusal.value.remedy
    assert interventions.abort(held) is not None


def follow(remedy: str, subject: Deployment, facts: Around) -> None:
    """Do what a remedy says; it raises where that is refused."""
    command = re.search(r"serinus ([a-z]+(?: [a-z]+)?)", remedy)
    assert command is not None, remedy
    verb = command[1].removeprefix("deployments ")
    if verb in ("status", "show", "models show"):
        return
    if verb.startswith("deploy "):
        # Eligible are all but the champion, while no other one is live.
        assert facts.live is None
        assert facts.champion != subject.challenger
        return
    if verb.startswith("rollback "):
        assert subject.champion not in (None, facts.champion)
        return
    assert subject.id in remedy
    last = came(Phase.RUNNING, subject.phase, subject.verdict)
    doing = {
        "approve": lambda: interventions.approve(subject, last),
        "retry": lambda: interventions.retry(subject, facts),
        **{name: partial(decide, subject) for name, (decide, _) in COMMANDS.items()},
    }
    assert doing[verb]() is not None, f"{remedy} would change nothing"


@st.composite
def standings(draw: st.DrawFn) -> tuple[Deployment, Around]:
    """A deployment in any state that can be, with anything around it that can be."""
    subject = standing(
        draw(st.sampled_from(Phase)), draw(st.integers(0, 4)), draw(st.sampled_from(Outcome))
    )
    if draw(st.booleans()):
        subject = msgspec.structs.replace(subject, champion=None)
    return subject, around(
        newest=draw(st.sampled_from(["d1", "d2"])),
        live=subject.id if subject.live else draw(st.sampled_from([None, "d2"])),
        champion=draw(st.sampled_from([None, "1.0.0", "1.1.0", "1.2.0"])),
        verdict=judged(draw(st.sampled_from(Outcome))),
        again=draw(st.booleans()),
    )


@given(standings(), st.sampled_from([*COMMANDS, "approve", "retry"]), st.sampled_from(Phase))
def test_every_remedy_names_a_command_that_works_as_things_stand(
    known: tuple[Deployment, Around], command: str, before: Phase
) -> None:
    subject, facts = known
    asked = {
        "approve": lambda: interventions.approve(subject, came(before, subject.phase)),
        "retry": lambda: interventions.retry(subject, facts),
        **{name: partial(decide, subject) for name, (decide, _) in COMMANDS.items()},
    }
    try:
        asked[command]()
    except interventions.Over as refusal:
        follow(refusal.remedy, subject, facts)
        follow(interventions.after_end(subject, facts), subject, facts)
    except Conflict as refusal:
        follow(refusal.remedy, subject, facts)
