"""A supervisor in a process of its own: ``python supervising.py FOLDER NAME...``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from serinus.processes.signals import on_signal
from serinus.processes.supervisor import Program, Supervisor

PROGRAMS = Path(__file__).with_name("programs.py")


def main(folder: str, names: list[str]) -> None:
    """Look after the named programs until told to stop."""
    stop = threading.Event()
    on_signal(stop)
    made = [Program(name, [sys.executable, str(PROGRAMS), name, folder]) for name in names]
    supervisor = Supervisor(made, stop)
    try:
        if supervisor.start(seconds=30):
            (Path(folder) / "started").touch()
            supervisor.run()
    finally:
        supervisor.end()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
