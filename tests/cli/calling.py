"""The command line as a real subprocess."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What a command left: its code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of standard output."""
        return json.loads(self.out.splitlines()[-1])


def serinus(*arguments: str, home: Path, control: str = "", text: str = "") -> Answer:
    """Run a command with a state folder, and perhaps a control plane, of the test's own."""
    given = ["--home", str(home)]
    if control:
        given += ["--set", f"control_port={urlsplit(control).port}"]
    done = subprocess.run(
        [sys.executable, "-m", "serinus", *given, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)
