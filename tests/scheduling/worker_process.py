"""A worker as a process: ``python worker_process.py URL NAME LEASE LOG [LIMIT]``."""

from __future__ import annotations

import signal
import sys
import threading

from serinus.scheduling.jobs import Jobs
from serinus.scheduling.worker import Worker
from serinus.store.engine import open_engine


def main() -> None:
    url, name, lease, log, *limit = sys.argv[1:]
    jobs = Jobs(open_engine(url), float(lease))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    limits = {"work": int(limit[0])} if limit else {}
    worker = Worker(jobs, name, "job_handlers:make", {"log": log}, limit_per_kind=limits, slots=2)
    worker.run(stop)


if __name__ == "__main__":
    main()
