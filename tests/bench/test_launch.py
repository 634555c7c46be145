import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from serinus.bench import launch
from serinus.bench.load import Order
from serinus.errors import Unavailable

SERVER = """
import http.server, os, subprocess, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{child.pid} {sorted(os.sched_getaffinity(0))}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def command(port):
    return [sys.executable, "-c", SERVER, str(port)]


def test_server_runs_on_its_core_and_leaves_nothing_behind():
    core = launch.cores().server
    with launch.server(command, (core,), ready="/") as running:
        child, _, cores = httpx.get(f"http://127.0.0.1:{running.port}/").text.partition(" ")
        assert cores == f"[{core}]"
        order = Order(running.port, "/", (b"{}",), 2, 0.2)
        assert launch.drive(order, launch.cores().load).answered > 2
        os.kill(int(child), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, signal.SIGCONT)
    # Whoever adopts the orphan buries it: for a moment it may be there, as a zombie.
    stat = Path(f"/proc/{child}/stat")
    deadline = time.monotonic() + 5
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_server_that_does_not_start_says_why():
    failing = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with (
        pytest.raises(Unavailable, match="no such model"),
        launch.server(lambda _: failing, (0,), ready="/"),
    ):
        pass


def test_drive_tells_of_a_server_that_is_not_there():
    with pytest.raises(Unavailable, match="ended early"):
        launch.drive(Order(launch.free_port(), "/", (b"{}",), 1, 0.1), 0)


def test_pinned_command_runs_on_its_cores():
    shown = [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"]
    core = launch.cores().load
    done = subprocess.run(launch.pinned(shown, (core,)), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{{{core}}}"
