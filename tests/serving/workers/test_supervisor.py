"""Workers that are killed: nothing acknowledged is lost, and others take over."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from tests.serving.conftest import route
from tests.serving.loads import Load

from serinus.errors import Unavailable
from serinus.ledger import ids
from serinus.serving.types import GatewayOptions
from serinus.serving.workers import supervisor
from serinus.serving.workers.scaling import Scaler
from serinus.wire import Prediction

BODY = {"features": {f"x{index}": 1.0 for index in range(4)}}


def test_workers_killed_under_load_lose_nothing_acknowledged(gateway, folders):
    running = gateway(workers=2, ledger_segment_bytes=200_000)
    running.publish(1, route(folders, "numbers"))
    with running:
        running.until(lambda: len(running.workers()) == 2)
        killed = set()
        with Load(running.url, "/predict", BODY, clients=6) as load:
            for _ in range(6):
                load.until_more(600)
                killed.add(running.kill_worker())
                running.until(
                    lambda: len(running.workers()) == 2 and not killed & set(running.workers())
                )
        assert len(killed) == 6
        stats = running.get("/stats").json()
    recorded = [record for record in running.reader.scan() if isinstance(record.event, Prediction)]
    acknowledged = [answer["prediction_id"] for answer in load.answers]
    assert len(acknowledged) > 1_200
    assert load.refused == []
    assert len(set(acknowledged)) == len(acknowledged)
    missing = set(acknowledged) - {ids.encode(record.id) for record in recorded}
    assert missing == set()
    # Only requests in flight at a kill may be recorded and not acknowledged.
    assert len(recorded) - len(acknowledged) <= load.broken
    # Counts outlive their workers, but for what was counted in the last moments of one.
    assert stats["requests"] > 0.5 * len(acknowledged)


def test_workers_end_with_their_supervisor(gateway, folders):
    running = gateway(workers=2)
    running.publish(1, route(folders, "numbers"))
    with running:
        running.until(lambda: len(running.workers()) == 2)
        orphans = running.workers()
        assert running.stop(signal.SIGKILL) == -signal.SIGKILL
        deadline = time.monotonic() + 20
        while any(is_alive(pid) for pid in orphans) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(is_alive(pid) for pid in orphans)
        # The port is free again at once.
        running.process = None
        running.start()
        assert running.post("/predict", BODY).status_code == 200


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_workers_stats_are_those_of_all(gateway, folders):
    running = gateway(workers=2)
    running.publish(1, route(folders, "numbers"))
    with running:
        running.until(lambda: len(running.workers()) == 2)
        for _ in range(30):
            assert httpx.post(f"{running.url}/predict", json=BODY).status_code == 200
        # Each answer comes from whichever worker is free.
        running.until(lambda: all(running.get("/stats").json()["requests"] == 30 for _ in range(8)))


def test_workers_share_the_connections(gateway, folders):
    running = gateway(workers=2)
    running.publish(1, route(folders, "numbers"))
    with running:
        running.until(lambda: len(running.workers()) == 2)
        running.until_revision(1)
        with contextlib.ExitStack() as opened:
            workers_of = Counter()
            for _ in range(16):
                client = opened.enter_context(httpx.Client(base_url=running.url))
                workers_of[client.get("/health").json()["worker"]] += 1
        assert len(workers_of) == 2
        assert max(workers_of.values()) <= 12


def test_workers_of_a_ledger_that_cannot_be_written(tmp_path, free_port):
    (tmp_path / "file").touch()
    options = GatewayOptions(
        port=free_port(),
        routing_table=tmp_path / "routing.json",
        ledger=tmp_path / "file" / "ledger",
        environment={},
    )
    with pytest.raises(Unavailable) as caught:
        supervisor.run(options, workers=1)
    assert "file" in str(caught.value)


def test_workers_supervisor_rests_whatever_the_number_of_its_descriptors(tmp_path):
    """Programs that hold many connections have descriptors that select() does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_000:
        pytest.skip("this machine allows no process so many descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2_000, hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        options = GatewayOptions(routing_table=tmp_path / "r.json", ledger=tmp_path / "ledger")
        with socket.socket() as listener:
            made = supervisor._Supervisor(options, listener, Scaler(1, 1), 1)
            assert made._woken > 1_023
            os.write(made._wake, b"!")
            started = time.monotonic()
            made._rest()
            assert time.monotonic() - started < supervisor.LOOK_SECONDS
            ends = ("_alive", "_alive_until_end", "_woken", "_wake")
            held += [getattr(made, end) for end in ends]
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
