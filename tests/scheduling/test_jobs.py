from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from serinus import clock
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.types import Job, JobState

LONG = 60.0
SHORT = 0.05


def taken(jobs: Jobs, worker: str = "w", **options: object) -> Job:
    job = jobs.claim(worker, **options)  # type: ignore[arg-type]
    assert job is not None
    return job


def test_jobs_enqueue_same_name_is_the_same_job(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    first = jobs.enqueue("train", "a", {"rows": 1})
    assert jobs.enqueue("train", "a", {"rows": 2}) == first
    assert jobs.enqueue("train", "b", {}).id != first.id
    assert jobs.find("train", "a") == first
    assert jobs.find("train", "zebra") is None


def test_jobs_enqueue_in_a_transaction_appears_with_it(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    with engine.connect() as connection:
        jobs.enqueue("train", "a", {}, connection=connection)
        connection.rollback()
    assert jobs.list() == ()


def test_jobs_enqueue_no_attempt_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="attempt"):
        Jobs(engine, LONG).enqueue("train", "a", {}, max_attempts=0)


def test_jobs_claim_oldest_first_and_only_what_is_due(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    later = clock.now() + timedelta(hours=1)
    jobs.enqueue("train", "later", {}, run_after=later)
    keys = ["c", "a", "b"]
    for key in keys:
        jobs.enqueue("train", key, {"key": key})
    claimed = [taken(jobs) for _ in keys]
    assert [job.payload["key"] for job in claimed] == keys
    assert claimed[0].state is JobState.RUNNING
    assert (claimed[0].attempt, claimed[0].lease_owner) == (1, "w")
    assert jobs.claim("w") is None


def test_jobs_claim_only_its_kinds(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    jobs.enqueue("train", "a", {})
    assert jobs.claim("w", kinds=["report"]) is None
    assert jobs.claim("w", kinds=["report", "train"]) is not None


def test_jobs_claim_limit_holds_over_all_workers(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    for key in "abc":
        jobs.enqueue("train", key, {})
    jobs.enqueue("report", "d", {})
    limits = {"train": 1}
    first = taken(jobs, "w1", limit_per_kind=limits)
    assert taken(jobs, "w2", limit_per_kind=limits).kind == "report"
    assert jobs.claim("w3", limit_per_kind=limits) is None
    assert jobs.finish(first, "w1", {})
    assert taken(jobs, "w3", limit_per_kind=limits).key == "b"


def test_jobs_claim_by_many_at_once_each_job_has_one_holder(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    for number in range(20):
        jobs.enqueue("train", str(number), {})
    claimed: list[str] = []
    most = 0

    def work(name: str) -> None:
        nonlocal most
        while job := jobs.claim(name, limit_per_kind={"train": 3}):
            claimed.append(job.id)
            most = max(most, len(jobs.list(state=JobState.RUNNING)))
            assert jobs.finish(job, name, {})

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 20
    assert most <= 3


def test_jobs_lease_ended_another_takes_over(engine: Engine) -> None:
    jobs = Jobs(engine, SHORT)
    jobs.enqueue("train", "a", {})
    first = taken(jobs, "w1", limit_per_kind={"train": 1})
    time.sleep(2 * SHORT)
    second = taken(jobs, "w2", limit_per_kind={"train": 1})
    assert (second.id, second.attempt, second.lease_owner) == (first.id, 2, "w2")
    for lost in (
        jobs.heartbeat(first, "w1", "still here"),
        jobs.finish(first, "w1", {"who": 1}),
        jobs.fail(first, "w1", "it broke", retry=True),
        jobs.release(first, "w1"),
    ):
        assert lost is False
    assert jobs.get(first.id) == second
    assert jobs.finish(second, "w2", {"who": 2})
    assert jobs.get(first.id).result == {"who": 2}


def test_jobs_same_worker_again_an_old_holding_is_no_longer_valid(engine: Engine) -> None:
    jobs = Jobs(engine, SHORT)
    jobs.enqueue("train", "a", {})
    first = taken(jobs)
    time.sleep(2 * SHORT)
    second = taken(jobs)
    assert not jobs.finish(first, "w", {})
    assert jobs.finish(second, "w", {})


def test_jobs_heartbeat_renews_and_tells(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    jobs.enqueue("train", "a", {})
    job = taken(jobs)
    assert jobs.heartbeat(job, "w", "fold 2 of 5")
    renewed = jobs.get(job.id)
    assert renewed.progress == "fold 2 of 5"
    assert renewed.lease_until is not None
    assert job.lease_until is not None
    assert renewed.lease_until > job.lease_until
    assert not jobs.heartbeat(job, "another", "")


def test_jobs_fail_again_until_no_attempt_is_left(engine: Engine) -> None:
    jobs = Jobs(engine, LONG, retry_seconds=0.0)
    jobs.enqueue("train", "a", {}, max_attempts=2)
    assert jobs.fail(taken(jobs), "w", "it broke", retry=True)
    again = taken(jobs)
    assert (again.attempt, again.error) == (2, "")
    assert jobs.fail(again, "w", "it broke again", retry=True)
    failed = jobs.get(again.id)
    assert (failed.state, failed.error) == (JobState.FAILED, "it broke again")
    assert failed.finished_at is not None
    assert jobs.claim("w") is None


def test_jobs_fail_waits_before_the_next_attempt(engine: Engine) -> None:
    jobs = Jobs(engine, LONG, retry_seconds=100.0)
    jobs.enqueue("train", "a", {})
    assert jobs.fail(taken(jobs), "w", "it broke", retry=True)
    assert jobs.claim("w") is None
    assert jobs.list()[0].run_after > clock.now() + timedelta(seconds=90)


def test_jobs_worker_dead_in_the_last_attempt_fails_the_job(engine: Engine) -> None:
    jobs = Jobs(engine, SHORT)
    jobs.enqueue("train", "a", {}, max_attempts=1)
    job = taken(jobs)
    time.sleep(2 * SHORT)
    assert jobs.claim("w2") is None
    failed = jobs.get(job.id)
    assert failed.state is JobState.FAILED
    assert "worker died" in failed.error


def test_jobs_release_gives_back_the_attempt(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    jobs.enqueue("train", "a", {}, max_attempts=1)
    assert jobs.release(taken(jobs), "w")
    assert taken(jobs).attempt == 1


def test_jobs_cancel_in_every_state(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    queued = jobs.enqueue("train", "a", {})
    assert jobs.cancel(queued.id).state is JobState.CANCELLED
    assert jobs.cancel(queued.id).state is JobState.CANCELLED
    jobs.enqueue("train", "b", {})
    held = taken(jobs)
    jobs.cancel(held.id)
    assert not jobs.heartbeat(held, "w", "")
    assert not jobs.finish(held, "w", {})
    jobs.enqueue("train", "c", {})
    done = taken(jobs)
    assert jobs.finish(done, "w", {"rows": 3})
    with pytest.raises(Conflict, match="succeeded"):
        jobs.cancel(done.id)
    with pytest.raises(NotFound):
        jobs.cancel("zebra")


def test_jobs_list_pages_newest_first(engine: Engine) -> None:
    jobs = Jobs(engine, LONG)
    made = [jobs.enqueue("train", str(number), {}).id for number in range(5)]
    jobs.enqueue("report", "x", {})
    first = jobs.list(kind="train", limit=3)
    rest = jobs.list(kind="train", limit=3, after=first[-1].id)
    assert [job.id for job in (*first, *rest)] == made[::-1]
    assert jobs.list(kind="train", state=JobState.RUNNING) == ()
    with pytest.raises(NotFound):
        jobs.list(after="zebra")
