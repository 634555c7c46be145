import contextlib
import sys
import time
from pathlib import Path

import pytest

from serinus.bench import launch, turns
from serinus.bench.load import Order, Tally
from serinus.errors import Unavailable

ANSWERS = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
DIES = ANSWERS.replace("def do_POST(self):", "def do_POST(self):\n        import os; os._exit(1)")


def tally(per_second, p50=1.0, refused=0):
    return Tally(int(per_second * 2), refused, 2.0, p50, 2.0, busy=0.5, cpu_us=p50 * 10)


@contextlib.contextmanager
def serving(program, **how):
    with launch.server(
        lambda port: [sys.executable, "-c", program, str(port)], (0,), ready="/"
    ) as server:
        yield turns.Contender(Order(server.port, "/", (b"{}",), 2, 0.3), server, **how)


def test_summary_takes_medians_and_the_ratio_within_rounds():
    found = {
        "bare": [tally(100), tally(200), tally(400)],
        "gateway": [tally(50, 3.0), tally(150, 1.0, 2), tally(100, 2.0, 1)],
    }
    bare, gateway = turns.summarise(found, "gateway")
    assert (bare.per_second, bare.ratio) == (200, 1.0)
    assert (gateway.per_second, gateway.p50_ms, gateway.cpu_us) == (100, 2.0, 20.0)
    assert gateway.ratio == 0.5
    assert (gateway.requests, gateway.refused) == (600, 3)
    assert gateway.busy == 0.5
    # Not the inverse of a median by accident: 1/2, 3/4 and 1/4 have the median 1/2.
    assert (bare.times, gateway.times) == (0.5, 1.0)
    assert turns.summarise(found)[0].times == 0


def test_take_gives_each_its_turn_in_each_round():
    with serving(ANSWERS) as one, serving(ANSWERS, is_stopped=True) as other:
        taken = turns.take({"one": one, "other": other}, 3, launch.cores().load)
        # The one that is stopped between its turns stops as soon as its threads have seen it.
        stat = Path(f"/proc/{other.server.pid}/stat")
        deadline = time.monotonic() + 5
        while stat.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert {name: len(tallies) for name, tallies in taken.rounds.items()} == {"one": 3, "other": 3}
    assert all(tally.answered > 0 for tallies in taken.rounds.values() for tally in tallies)
    # The system counts in hundredths of a second: one short turn may seem to cost nothing.
    assert all(sum(tally.cpu_us for tally in tallies) > 0 for tallies in taken.rounds.values())


def test_take_goes_on_without_one_that_may_fail():
    with serving(ANSWERS) as one, serving(DIES, may_fail=True) as other:
        taken = turns.take({"one": one, "other": other}, 2, launch.cores().load)
    assert list(taken.rounds) == ["one"]
    assert len(taken.rounds["one"]) == 2
    assert list(taken.lost) == ["other"]


def test_take_ends_with_one_that_may_not():
    with serving(DIES) as one, pytest.raises(Unavailable):
        turns.take({"one": one}, 1, launch.cores().load)
