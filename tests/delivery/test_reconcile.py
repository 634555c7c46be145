"""The controller's decision, as a pure function and as a state machine."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples

from serinus.delivery.reconcile import Snapshot, WorkerView, next_position, reconcile
from serinus.delivery.types import (
    LIVE,
    TRANSITIONS,
    Deployment,
    DeploymentSpec,
    Outcome,
    Phase,
    Verdict,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
READY = WorkerView("w1", 3, ("fraud@1.0.0", "fraud@1.1.0"), {})


def deployment(phase: Phase = Phase.RUNNING, step: int = 0, **spec: object) -> Deployment:
    asked = DeploymentSpec(model="fraud", challenger="1.1.0", **spec)  # type: ignore[arg-type]
    return samples.deployment(asked, phase=phase, step=step, step_entered_at=START)


def snapshot(
    subject: Deployment,
    outcome: Outcome,
    *,
    fresh: int = 1000,
    workers: tuple[WorkerView, ...] = (READY,),
    seconds: float = 1.0,
) -> tuple[Snapshot, datetime]:
    verdict = Verdict(outcome, f"because {outcome}", 1000, 0.045, ())
    return Snapshot(subject, verdict, fresh, workers), START + timedelta(seconds=seconds)


@pytest.mark.parametrize("phase", sorted(LIVE))
def test_reconcile_rolls_back_in_every_live_phase(phase: Phase) -> None:
    decision = reconcile(*snapshot(deployment(phase), Outcome.ROLLBACK))
    assert decision is not None
    assert decision.phase is Phase.ROLLED_BACK
    assert decision.reason == "because rollback"


@pytest.mark.parametrize("phase", sorted(set(Phase) - LIVE))
@pytest.mark.parametrize("outcome", list(Outcome))
def test_reconcile_leaves_an_ended_deployment_alone(phase: Phase, outcome: Outcome) -> None:
    assert reconcile(*snapshot(deployment(phase), outcome, seconds=1e9)) is None


def test_reconcile_waits_until_every_worker_has_the_challenger() -> None:
    behind = WorkerView("w2", 2, ("fraud@1.0.0",), {})
    pending = deployment(Phase.PENDING)
    assert reconcile(*snapshot(pending, Outcome.NO_DATA, workers=(READY, behind))) is None
    assert reconcile(*snapshot(pending, Outcome.NO_DATA, workers=())) is None
    decision = reconcile(*snapshot(pending, Outcome.NO_DATA))
    assert decision is not None
    assert (decision.phase, decision.step) == (Phase.RUNNING, 0)


def test_reconcile_rolls_back_a_challenger_that_cannot_be_loaded() -> None:
    broken = WorkerView("w1", 3, ("fraud@1.0.0",), {"fraud@1.1.0": "no module named x"})
    decision = reconcile(*snapshot(deployment(Phase.PENDING), Outcome.NO_DATA, workers=(broken,)))
    assert decision is not None
    assert decision.phase is Phase.ROLLED_BACK
    assert "no module named x" in decision.reason


def test_reconcile_gives_up_loading_after_its_time() -> None:
    decision = reconcile(
        *snapshot(deployment(Phase.PENDING), Outcome.NO_DATA, workers=(), seconds=121)
    )
    assert decision is not None
    assert decision.phase is Phase.INCONCLUSIVE


def test_reconcile_needs_fresh_requests_before_weight_rises() -> None:
    assert reconcile(*snapshot(deployment(step=1), Outcome.PROMOTE, fresh=199)) is None
    decision = reconcile(*snapshot(deployment(step=1), Outcome.PROMOTE, fresh=200))
    assert decision is not None
    assert (decision.phase, decision.step) == (Phase.RUNNING, 2)


def test_reconcile_needs_the_time_of_a_step() -> None:
    timed = deployment(step=1, min_seconds=60.0)
    assert reconcile(*snapshot(timed, Outcome.PROMOTE, seconds=59)) is None
    assert reconcile(*snapshot(timed, Outcome.PROMOTE, seconds=60)) is not None


def test_reconcile_promotes_after_the_last_step() -> None:
    decision = reconcile(*snapshot(deployment(step=3), Outcome.PROMOTE))
    assert decision is not None
    assert decision.phase is Phase.SOAKING


@pytest.mark.parametrize("spec", [{"auto_promote": False}, {"approvals": True}])
def test_reconcile_stops_for_a_person_where_the_plan_says_so(spec: dict[str, bool]) -> None:
    decision = reconcile(*snapshot(deployment(step=3, **spec), Outcome.PROMOTE))
    assert decision is not None
    assert decision.phase is Phase.PAUSED
    assert decision.verdict is Outcome.PROMOTE


@pytest.mark.parametrize("outcome", [Outcome.CONTINUE, Outcome.NO_DATA])
def test_reconcile_ends_undecided_steps_as_inconclusive(outcome: Outcome) -> None:
    decision = reconcile(*snapshot(deployment(step=1), outcome, seconds=73 * 3600))
    assert decision is not None
    assert decision.phase is Phase.INCONCLUSIVE


def test_reconcile_paused_stays_whatever_the_good_news() -> None:
    assert reconcile(*snapshot(deployment(Phase.PAUSED), Outcome.PROMOTE, seconds=1e9)) is None


def test_reconcile_clock_that_jumps_back_expires_nothing() -> None:
    assert reconcile(*snapshot(deployment(step=1), Outcome.CONTINUE, seconds=-1e7)) is None


@given(
    looks=st.lists(
        st.tuples(
            st.sampled_from(list(Outcome)),
            st.integers(0, 400),
            st.floats(-10.0, 300_000.0),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_reconcile_makes_only_legal_moves_one_step_at_a_time(
    looks: list[tuple[Outcome, int, float, bool]],
) -> None:
    subject = deployment(Phase.PENDING)
    for outcome, fresh, seconds, ready in looks:
        workers = (READY,) if ready else ()
        now = snapshot(subject, outcome, fresh=fresh, workers=workers, seconds=seconds)
        decision = reconcile(*now)
        assert decision == reconcile(*now)
        if decision is None:
            continue
        assert decision.phase in TRANSITIONS[subject.phase]
        assert decision.reason
        if decision.phase is Phase.RUNNING and subject.phase is Phase.RUNNING:
            assert outcome is Outcome.PROMOTE
            assert (decision.phase, decision.step) == next_position(subject)
        subject = msgspec.structs.replace(subject, phase=decision.phase, step=decision.step)


def test_reconcile_lets_no_weight_rise_on_a_worker_that_is_not_ready() -> None:
    behind = WorkerView("w2", 3, ("fraud@1.0.0",), {})
    subject = deployment(step=1)
    for workers in ((READY, behind), ()):
        assert reconcile(*snapshot(subject, Outcome.PROMOTE, workers=workers)) is None
    late = reconcile(*snapshot(subject, Outcome.PROMOTE, workers=(READY, behind), seconds=1e6))
    assert late is not None
    assert late.phase is Phase.INCONCLUSIVE
    assert "fraud@1.1.0 on w2" in late.reason


BROKEN = WorkerView("w2", 3, ("fraud@1.0.0",), {"fraud@1.1.0": "no module named x"})
BEHIND = WorkerView("w2", 3, ("fraud@1.0.0",), {})


def test_reconcile_takes_back_from_the_soak_what_a_worker_cannot_load() -> None:
    soaking = deployment(Phase.SOAKING, step=4, soak_seconds=60.0)
    decision = reconcile(*snapshot(soaking, Outcome.NO_DATA, workers=(READY, BROKEN)))
    assert decision is not None
    assert (decision.phase, decision.verdict) == (Phase.ROLLED_BACK, Outcome.ROLLBACK)
    assert "no module named x" in decision.reason


def test_reconcile_ends_no_soak_before_every_live_worker_has_it() -> None:
    soaking = deployment(Phase.SOAKING, step=4, soak_seconds=60.0)
    for workers in ((READY, BEHIND), ()):
        assert reconcile(*snapshot(soaking, Outcome.NO_DATA, workers=workers, seconds=61)) is None
    decision = reconcile(*snapshot(soaking, Outcome.NO_DATA, seconds=61))
    assert decision is not None
    assert decision.phase is Phase.SUCCEEDED


def test_reconcile_leaves_a_first_version_to_the_workers_that_could_load_it() -> None:
    """Nobody else could answer in its place; where no worker has it, nobody answers anyway."""
    soaking = deployment(Phase.SOAKING, step=4, soak_seconds=60.0)
    first = msgspec.structs.replace(soaking, champion=None)
    some = snapshot(first, Outcome.NO_DATA, workers=(READY, BROKEN), seconds=61)
    assert reconcile(*some) is None
    none = reconcile(*snapshot(first, Outcome.NO_DATA, workers=(BROKEN,)))
    assert none is not None
    assert none.phase is Phase.ROLLED_BACK


def test_reconcile_ends_a_plan_that_was_only_to_find_out() -> None:
    subject = deployment(step=3)
    plan = msgspec.structs.replace(subject.plan, promotes=False)
    decision = reconcile(*snapshot(msgspec.structs.replace(subject, plan=plan), Outcome.PROMOTE))
    assert decision is not None
    assert (decision.phase, decision.step) == (Phase.SUCCEEDED, 3)
    assert "1.0.0 stays" in decision.reason


def test_reconcile_goes_on_with_a_retry_where_it_stood() -> None:
    decision = reconcile(*snapshot(deployment(Phase.PENDING, step=2), Outcome.CONTINUE))
    assert decision is not None
    assert (decision.phase, decision.step) == (Phase.RUNNING, 2)


PHASES = st.sampled_from([Phase.PENDING, Phase.RUNNING, Phase.SOAKING])


@given(
    phase=PHASES,
    outcome=st.sampled_from([Outcome.CONTINUE, Outcome.NO_DATA, Outcome.PROMOTE]),
    alone=st.floats(1.0, 1e7),
    share=st.floats(0.0, 1.0, exclude_max=True),
    later=st.floats(0.0, 1e7),
    soak=st.sampled_from([0.0, 60.0]),
    ready=st.booleans(),
)
def test_reconcile_counts_no_time_in_which_no_version_is_asked(
    phase: Phase,
    outcome: Outcome,
    alone: float,
    share: float,
    later: float,
    soak: float,
    ready: bool,
) -> None:
    """While the default answers alone nothing ends; afterwards the step's clock begins anew."""
    subject = deployment(phase, step=4 * (phase is Phase.SOAKING), soak_seconds=soak)
    since = START + timedelta(seconds=alone)
    fewer = {"workers": (READY,) if ready else ()}
    now, _ = snapshot(subject, outcome, **fewer)  # type: ignore[arg-type]
    now = msgspec.structs.replace(now, asked_since=since)
    meanwhile = START + timedelta(seconds=alone * share)
    assert meanwhile >= since or reconcile(now, meanwhile) is None
    after = since + timedelta(seconds=later)
    anew = msgspec.structs.replace(subject, step_entered_at=since)
    fresh = msgspec.structs.replace(now, deployment=anew, asked_since=None)
    assert reconcile(now, after) == reconcile(fresh, after)


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.RUNNING, Phase.SOAKING])
def test_reconcile_takes_back_what_harms_while_no_version_is_asked(phase: Phase) -> None:
    subject = deployment(phase, step=4 * (phase is Phase.SOAKING))
    now, at = snapshot(subject, Outcome.ROLLBACK)
    found = reconcile(msgspec.structs.replace(now, asked_since=at + timedelta(hours=1)), at)
    assert found is not None
    assert found.phase is Phase.ROLLED_BACK
