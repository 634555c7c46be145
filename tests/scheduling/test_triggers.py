from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from serinus.errors import Conflict
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.triggers import Facts, Triggers, decide
from serinus.scheduling.types import Condition, Job, JobState, Trigger, TriggerState

START = datetime(2026, 1, 1, tzinfo=UTC)
DRIFT = Condition(key="fraud/1.0.0/61", reason="the amounts moved")
ARMED = Trigger(
    model="fraud", kind="retrain", state=TriggerState.ARMED, reason="", job=None, since=START
)


def facts(**changes: object) -> Facts:
    usual = Facts(
        condition=None,
        handled=False,
        rows=0,
        rows_needed=300,
        job=None,
        cooldown=timedelta(hours=1),
        now=START,
    )
    return msgspec.structs.replace(usual, **changes)


def job(state: JobState) -> Job:
    return Job(
        id="j",
        kind="retrain",
        key=DRIFT.key,
        payload={},
        state=state,
        attempt=1,
        max_attempts=3,
        progress="",
        result=None,
        error="",
        lease_owner=None,
        lease_until=None,
        run_after=START,
        created_at=START,
        started_at=None,
        finished_at=None,
    )


def test_decide_whole_round() -> None:
    trigger = decide(ARMED, facts(condition=DRIFT, rows=12))
    assert (trigger.state, trigger.reason) == (TriggerState.PENDING, "the amounts moved")
    assert decide(trigger, facts(condition=DRIFT, rows=299)) == trigger
    trigger = decide(trigger, facts(condition=DRIFT, rows=300))
    assert trigger.state is TriggerState.QUEUED
    trigger = msgspec.structs.replace(trigger, job="j")
    assert decide(trigger, facts(job=job(JobState.QUEUED))) == trigger
    trigger = decide(trigger, facts(job=job(JobState.RUNNING)))
    assert trigger.state is TriggerState.RUNNING
    trigger = decide(trigger, facts(job=job(JobState.QUEUED)))
    assert trigger.state is TriggerState.QUEUED
    trigger = decide(trigger, facts(job=job(JobState.FAILED), now=START))
    assert trigger.state is TriggerState.COOLDOWN
    assert decide(trigger, facts(now=START + timedelta(minutes=59))) == trigger
    trigger = decide(trigger, facts(now=START + timedelta(hours=1)))
    assert (trigger.state, trigger.job, trigger.reason) == (TriggerState.ARMED, None, "")


def test_decide_condition_gone_while_pending() -> None:
    pending = decide(ARMED, facts(condition=DRIFT))
    assert decide(pending, facts()).state is TriggerState.ARMED


def test_decide_occurrence_that_had_its_job_sets_off_nothing() -> None:
    assert decide(ARMED, facts(condition=DRIFT, handled=True, rows=1_000)) == ARMED


LOOKS = st.lists(
    st.tuples(st.booleans(), st.integers(0, 600), st.sampled_from(JobState), st.integers(0, 120)),
    max_size=60,
)


@given(LOOKS)
def test_decide_any_history_asks_once_an_occurrence_and_rests_between(looks: list) -> None:
    """Each occurrence (a new key after each job) has one job, and jobs start a rest apart."""
    trigger, now, jobs, ended_at = ARMED, START, 0, None
    for observed, rows, state, minutes in looks:
        now += timedelta(minutes=minutes)
        before = trigger
        held = job(state) if before.job is not None else None
        condition = DRIFT if observed else None
        trigger = decide(before, facts(condition=condition, rows=rows, job=held, now=now))
        if trigger.state is TriggerState.QUEUED and before.job is None:
            assert observed
            assert rows >= 300
            assert ended_at is None or now - ended_at >= timedelta(hours=1)
            jobs += 1
            trigger = msgspec.structs.replace(trigger, job="j")
        if trigger.state is TriggerState.COOLDOWN and before.state is not TriggerState.COOLDOWN:
            ended_at = now
        assert (trigger.job is None) == (
            trigger.state in {TriggerState.ARMED, TriggerState.PENDING}
        )
        assert trigger.since == (before.since if trigger.state is before.state else now)


# ------------------------------------------------------------------ stored


def made(engine: Engine, cooldown: float = 3_600.0) -> tuple[Jobs, Triggers]:
    jobs = Jobs(engine, 60.0)
    return jobs, Triggers(engine, jobs, cooldown_seconds=cooldown, rows_needed=300)


def look(triggers: Triggers, condition: Condition | None, rows: int = 300) -> TriggerState:
    found = triggers.observe("fraud", "retrain", condition, rows=rows, payload={"why": "drift"})
    assert found == triggers.get("fraud", "retrain") or condition is None
    return found.state


def test_triggers_round_runs_one_job(engine: Engine) -> None:
    jobs, triggers = made(engine, cooldown=0.0)
    assert look(triggers, None) is TriggerState.ARMED
    assert triggers.list() == ()
    assert look(triggers, DRIFT, rows=5) is TriggerState.PENDING
    assert look(triggers, DRIFT) is TriggerState.QUEUED
    asked = jobs.claim("w")
    assert asked is not None
    assert (asked.kind, asked.key, asked.payload) == ("retrain", DRIFT.key, {"why": "drift"})
    assert look(triggers, DRIFT) is TriggerState.RUNNING
    assert jobs.finish(asked, "w", {})
    assert look(triggers, DRIFT) is TriggerState.COOLDOWN
    assert look(triggers, DRIFT) is TriggerState.ARMED
    # The same drift is still there: it has had its job.
    assert look(triggers, DRIFT) is TriggerState.ARMED
    assert len(jobs.list()) == 1
    # A new one has not.
    assert look(triggers, Condition(key="fraud/1.0.0/99", reason="more")) is TriggerState.QUEUED
    assert len(jobs.list()) == 2
    assert [trigger.model for trigger in triggers.list()] == ["fraud"]


def test_triggers_observed_by_many_at_once_one_job(engine: Engine) -> None:
    jobs, triggers = made(engine)
    barrier = threading.Barrier(4)
    states: list[TriggerState] = []

    def observe() -> None:
        barrier.wait()
        try:
            found = triggers.observe("fraud", "retrain", DRIFT, rows=300, payload={})
        except Conflict:
            return
        states.append(found.state)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(states) == {TriggerState.QUEUED}
    assert len(jobs.list()) == 1
    assert triggers.get("fraud", "retrain").job == jobs.list()[0].id
