"""Small programs for the supervisor to look after: ``python programs.py NAME FOLDER``."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from serinus.processes import lifeline
from serinus.processes.signals import on_signal


def main(name: str, folder: Path) -> int:
    """Do what the name says, leaving the process's id in the folder."""
    stop = threading.Event()
    on_signal(stop)
    lifeline.hold()
    (folder / f"{name}.{os.getpid()}").touch()
    if name == "refusing":
        return 2
    if name == "parent":
        child = subprocess.Popen(["sleep", "600"])
        (folder / f"grandchild.{child.pid}").touch()
    if name == "deaf":
        while True:
            stop.wait(600)
    if name != "silent":
        lifeline.ready()
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
