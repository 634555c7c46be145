"""A whole Serinus of the demo's own: a folder, free ports, and `serinus up` in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from serinus import clock
from serinus.client import Serinus
from serinus.errors import Unavailable
from serinus.processes import ports
from serinus.settings import FILE_NAME, bare_environment

HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0

# What is hours in production is seconds here: windows of monitoring are short, and so is all rest.
SETTINGS = """\
# Written by `serinus demo`: the same system with short windows.
control_port = {control}
gateway_port = {gateway}
monitoring_window_seconds = 0
monitoring_window_rows = {window_rows}
drift_false_alarm_windows = 20000
retrain_cooldown_seconds = 5
min_training_data_points = 300
worker_status_seconds = 0.5
controller_interval_seconds = 0.05
"""
WINDOW_ROWS = 60


@dataclass
class Installation:
    """A running installation in a folder."""

    home: Path
    control_url: str
    gateway_url: str
    log: IO[bytes]
    entry: Sequence[str] = ("-m", "serinus")
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.launch()

    @property
    def client(self) -> Serinus:
        """A new SDK client of it; who kills its processes looks for them by himself."""
        return Serinus(self.control_url, self.gateway_url, actor="demo", patience=0.0)

    def launch(self) -> None:
        """Start its processes, whose predecessors are gone."""
        self.process = subprocess.Popen(
            [sys.executable, *self.entry, "up", "--home", str(self.home)],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            env=bare_environment(),
        )

    def stop(self) -> None:
        """Stop everything; killed if it does not stop in time."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def start(home: Path, more: str = "", *, entry: Sequence[str] = ("-m", "serinus")) -> Installation:
    """Start `serinus up` in ``home`` on free ports and wait until it answers.

    Args:
        home: its folder.
        more: further lines of its settings file.
        entry: what Python is to run; another than Serinus itself does something to it first.

    Raises:
        Unavailable: it did not come up; names the log.
    """
    home.mkdir(parents=True, exist_ok=True)
    control, gateway = ports.free(HOST), ports.free(HOST)
    text = SETTINGS.format(control=control, gateway=gateway, window_rows=WINDOW_ROWS)
    (home / FILE_NAME).write_text(text + more, encoding="utf-8")
    log = (home / "up.log").open("ab")
    urls = f"http://{HOST}:{control}", f"http://{HOST}:{gateway}"
    installation = Installation(home, *urls, log, entry)
    try:
        _await(installation)
    except BaseException:
        installation.stop()
        raise
    return installation


def _await(installation: Installation) -> None:
    deadline = clock.monotonic() + READY_SECONDS
    with installation.client as client:
        while clock.monotonic() < deadline and installation.process.poll() is None:
            try:
                if client.health().status == "ok":
                    return
            except Unavailable:
                pass
            clock.sleep(0.1)
    raise Unavailable(
        "the system did not come up",
        where=str(installation.home / "up.log"),
        remedy="Its log says why.",
    )
