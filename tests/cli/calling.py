"""The command line as a real subprocess."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.parse import urlsplit

SECONDS = 100


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
    with TemporaryFile() as put, TemporaryFile() as out, TemporaryFile() as err:
        put.write(text.encode())
        put.seek(0)
        code = _run([*given, *arguments], put, out, err)
        return Answer(code, *(os.pread(f.fileno(), f.seek(0, 2), 0).decode() for f in (out, err)))


def _run(arguments: list[str], *files: IO[bytes]) -> int:
    request = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    warm, door = _warm()
    socket.send_fds(door, [json.dumps(request).encode()], [file.fileno() for file in files])
    try:
        return int(door.recv(16))
    except TimeoutError:
        os.killpg(warm.pid, signal.SIGKILL)
        _warm.cache_clear()
        raise


@cache
def _warm() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A process that has all imports and becomes each command (see warm.py), and its door."""
    door, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.settimeout(SECONDS)
    program = str(Path(__file__).with_name("warm.py"))
    with other:
        warm = subprocess.Popen(
            [sys.executable, program, str(other.fileno())],
            pass_fds=[other.fileno()],
            start_new_session=True,
        )
    atexit.register(warm.wait)
    atexit.register(door.close)
    return warm, door
