"""The worker's process: takes jobs and runs each in a process of its own."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from serinus import logs
from serinus.processes import home
from serinus.processes.signals import on_signal
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.worker import Worker
from serinus.settings import Settings
from serinus.store import engine as store

log = structlog.get_logger(__name__)

HANDLERS = "serinus.processes.handlers:handlers"


def run(settings: Settings, *, ready: Callable[[], None] = lambda: None) -> None:
    """Run jobs until SIGTERM or SIGINT; a job that runs then is killed and given back.

    Raises:
        InvalidInput: the state folder cannot be written.
        Unavailable: the database cannot be reached.
    """
    logs.configure(settings.log_level, process="worker")
    stop = threading.Event()
    on_signal(stop)
    home.prepare(settings.home)
    # Not the whole of App: what jobs need is loaded by the processes that run them.
    engine = store.open_engine(settings.database)
    store.migrate(engine)
    name = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(2)}"
    training = settings.max_concurrent_training_jobs
    worker = Worker(
        Jobs(engine, settings.job_lease_seconds),
        name,
        HANDLERS,
        {"settings": plain(settings)},
        limit_per_kind={"train": training, "retrain": training},
        slots=training,
    )
    log.info("worker waits for jobs", name=name)
    ready()
    worker.run(stop)


def plain(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON, from which ``Settings(**…)`` makes them again."""
    values: dict[str, Any] = msgspec.to_builtins(settings, enc_hook=str)
    return values
