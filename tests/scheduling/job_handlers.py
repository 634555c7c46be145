"""Handlers that the tests' workers run in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from serinus.errors import InvalidInput, Unavailable
from serinus.scheduling.types import Job

Tell = Callable[[str], None]


def make(log: str) -> dict[str, Callable[[Job, Tell], dict[str, object]]]:
    note = Notes(Path(log))
    return {
        "work": note.work,
        "hang": note.hang,
        "breaks": breaks,
        "away": lambda job, tell: away() if job.attempt == 1 else note.work(job, tell),
        "dies": dies,
        "prints": prints,
        "wrong": lambda _job, _tell: {"what": object()},
    }


class Notes:
    """A log of what ran; one short append is atomic: lines of several processes never mix."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, word: str, job: Job, pid: int) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{word} {job.key} {job.attempt} {pid}\n")

    def work(self, job: Job, tell: Tell) -> dict[str, object]:
        if job.attempt <= job.payload.get("hangs", 0):
            return self.hang(job, tell)
        self.write("start", job, os.getpid())
        tell("half of it")
        time.sleep(job.payload["seconds"])
        self.write("end", job, os.getpid())
        return {"done": job.key}

    def hang(self, job: Job, _tell: Tell) -> dict[str, object]:
        # With a process of its own, as a training with parallel workers has it.
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        self.write("start", job, os.getpid())
        self.write("helper", job, helper.pid)
        helper.wait()
        return {}


def breaks(_job: Job, _tell: Tell) -> dict[str, object]:
    raise InvalidInput("the column is empty", where="target")


def away() -> dict[str, object]:
    raise Unavailable("the tracking server does not answer")


def dies(_job: Job, _tell: Tell) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def prints(_job: Job, _tell: Tell) -> dict[str, object]:
    print('{"kind": "error", "text": "not a message"}')
    return {"input": sys.stdin.read()}
