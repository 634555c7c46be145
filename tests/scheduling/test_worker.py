from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from serinus.scheduling.jobs import Jobs
from serinus.scheduling.types import Job, JobState
from serinus.scheduling.worker import Worker

HERE = Path(__file__).parent
LEASE = 1.5


@pytest.fixture(autouse=True)
def _importable_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.touch()
    return path


@contextmanager
def running(jobs: Jobs, log: Path, **options: object) -> Iterator[threading.Event]:
    """A worker in a thread; its jobs still run in processes."""
    stop = threading.Event()
    worker = Worker(jobs, "w", "job_handlers:make", {"log": str(log)}, **options)  # type: ignore[arg-type]
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def ended(jobs: Jobs, job: Job) -> Job:
    until(lambda: jobs.get(job.id).state not in (JobState.QUEUED, JobState.RUNNING))
    return jobs.get(job.id)


def lines(log: Path, word: str) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines() if line.startswith(word)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # a dead process whose parent has not looked yet


# ------------------------------------------------------------------ how jobs end


def test_worker_jobs_end_as_their_handlers_do(engine: Engine, log: Path) -> None:
    jobs = Jobs(engine, LEASE)
    work = jobs.enqueue("work", "a", {"seconds": 0})
    breaks = jobs.enqueue("breaks", "a", {})
    prints = jobs.enqueue("prints", "a", {})
    wrong = jobs.enqueue("wrong", "a", {}, max_attempts=1)
    dies = jobs.enqueue("dies", "a", {}, max_attempts=1)
    nobody = jobs.enqueue("unheard-of", "a", {})
    with running(jobs, log, slots=2):
        assert ended(jobs, work).result == {"done": "a"}
        assert ended(jobs, prints).result == {"input": ""}
        failed = ended(jobs, breaks)
        assert (failed.state, failed.attempt) == (JobState.FAILED, 1)
        assert failed.error == "target: the column is empty"
        assert "TypeError" in ended(jobs, wrong).error
        assert ended(jobs, dies).error == "its process was killed by SIGKILL"
        assert "nothing here handles" in ended(jobs, nobody).error


def test_worker_jobs_take_no_modules_from_the_working_directory(
    engine: Engine, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "subprocess.py").write_text("raise SystemExit('of somebody else')\n")
    monkeypatch.chdir(tmp_path)
    jobs = Jobs(engine, LEASE)
    job = jobs.enqueue("work", "a", {"seconds": 0}, max_attempts=1)
    with running(jobs, log):
        assert ended(jobs, job).result == {"done": "a"}


def test_worker_unavailable_is_tried_again(engine: Engine, log: Path) -> None:
    jobs = Jobs(engine, LEASE, retry_seconds=0.01)
    job = jobs.enqueue("away", "a", {"seconds": 0})
    with running(jobs, log):
        done = ended(jobs, job)
    assert (done.state, done.attempt, done.error) == (JobState.SUCCEEDED, 2, "")


def test_worker_job_longer_than_its_lease_keeps_it(engine: Engine, log: Path) -> None:
    # A busy machine may stop everything for a second.
    jobs = Jobs(engine, 2.5)
    job = jobs.enqueue("work", "a", {"seconds": 5.0})
    with running(jobs, log, slots=2):
        until(lambda: jobs.get(job.id).progress == "half of it")
        assert ended(jobs, job).attempt == 1
    assert len(lines(log, "start")) == 1


def test_worker_timeout_kills_the_whole_group(engine: Engine, log: Path) -> None:
    jobs = Jobs(engine, LEASE)
    job = jobs.enqueue("hang", "a", {})
    with running(jobs, log, timeout_seconds=1.5):
        done = ended(jobs, job)
    assert (done.state, done.attempt) == (JobState.FAILED, 1)
    assert "longer than 1.5 seconds" in done.error
    for word in ("start", "helper"):
        assert not any(alive(int(line[3])) for line in lines(log, word))


def test_worker_cancel_kills_and_frees_the_slot(engine: Engine, log: Path) -> None:
    jobs = Jobs(engine, LEASE)
    job = jobs.enqueue("hang", "a", {})
    after = jobs.enqueue("work", "b", {"seconds": 0})
    with running(jobs, log):
        until(lambda: len(lines(log, "helper")) == 1)
        assert jobs.cancel(job.id).state is JobState.CANCELLED
        assert ended(jobs, after).state is JobState.SUCCEEDED
        pids = [int(line[3]) for word in ("start", "helper") for line in lines(log, word)]
        until(lambda: not any(map(alive, pids)))
    assert jobs.get(job.id).state is JobState.CANCELLED


def test_worker_stop_gives_the_job_back_untouched(engine: Engine, log: Path) -> None:
    jobs = Jobs(engine, LEASE)
    job = jobs.enqueue("hang", "a", {}, max_attempts=1)
    with running(jobs, log):
        until(lambda: len(lines(log, "helper")) == 1)
    given_back = jobs.get(job.id)
    assert (given_back.state, given_back.attempt) == (JobState.QUEUED, 0)
    assert given_back.lease_owner is None
    assert not any(alive(int(line[3])) for line in lines(log, "helper"))


# ------------------------------------------------------------------ kill -9


@contextmanager
def process(url: str, name: str, log: Path, *limit: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(HERE / "worker_process.py"), url, name, str(LEASE), str(log)]
    worker = subprocess.Popen([*command, *limit])
    try:
        yield worker
    finally:
        worker.terminate()
        try:
            worker.wait(20)
        finally:
            worker.kill()
            worker.wait()


def test_worker_killed_in_mid_job_another_finishes_it_once(
    engine: Engine, database_url: str, log: Path
) -> None:
    jobs = Jobs(engine, LEASE)
    job = jobs.enqueue("work", "a", {"seconds": 0.2, "hangs": 1})
    with process(database_url, "first", log) as first:
        until(lambda: len(lines(log, "helper")) == 1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        pids = [int(line[3]) for word in ("start", "helper") for line in lines(log, word)]
        until(lambda: not any(map(alive, pids)))
    with process(database_url, "second", log):
        done = ended(jobs, job)
    assert (done.state, done.attempt, done.result) == (JobState.SUCCEEDED, 2, {"done": "a"})
    assert [line[2] for line in lines(log, "start")] == ["1", "2"]
    assert [line[2] for line in lines(log, "end")] == ["2"]
    assert jobs.list(state=JobState.RUNNING) == ()


def test_worker_stopped_past_its_lease_its_job_dies_before_another_has_it(
    engine: Engine, database_url: str, log: Path
) -> None:
    jobs = Jobs(engine, LEASE)
    job = jobs.enqueue("work", "a", {"seconds": 0.2, "hangs": 1})
    with process(database_url, "first", log) as first:
        until(lambda: len(lines(log, "helper")) == 1)
        first.send_signal(signal.SIGSTOP)
        try:
            with process(database_url, "second", log):
                done = ended(jobs, job)
            pids = [int(line[3]) for line in lines(log, "helper")]
            until(lambda: not any(map(alive, pids)))
        finally:
            first.send_signal(signal.SIGCONT)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    # The first has woken, found its job taken, and changed nothing.
    assert jobs.get(job.id) == done


def test_workers_killed_again_and_again_every_job_ends_exactly_once(
    engine: Engine, database_url: str, log: Path
) -> None:
    """Six jobs, at most one at a time over all workers; three workers are killed in mid-job."""
    jobs = Jobs(engine, LEASE)
    keys = [f"job{number}" for number in range(6)]
    for key in keys:
        hangs = 1 if key in keys[:3] else 0
        jobs.enqueue("work", key, {"seconds": 0.05, "hangs": hangs})
    for round_ in range(3):
        with process(database_url, f"doomed{round_}", log, "1") as doomed:
            until(lambda round_=round_: len(lines(log, "helper")) > round_)  # type: ignore[misc]
            doomed.send_signal(signal.SIGKILL)
            doomed.wait()
    with process(database_url, "a", log, "1"), process(database_url, "b", log, "1"):
        until(lambda: len(jobs.list(state=JobState.SUCCEEDED)) == len(keys), seconds=60)
    assert jobs.list(state=JobState.RUNNING) == ()
    assert sorted(line[1] for line in lines(log, "end")) == sorted(keys)
    _assert_one_at_a_time(log)


def _assert_one_at_a_time(log: Path) -> None:
    """Between a start and its end no other job starts; those killed never end."""
    ends = {line[3] for line in lines(log, "end")}
    holder = None
    for word, _key, _attempt, pid in map(str.split, log.read_text().splitlines()):
        if word == "start":
            assert holder is None
            holder = pid if pid in ends else None
        elif word == "end":
            assert holder == pid
            holder = None
