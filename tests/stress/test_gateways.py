from __future__ import annotations

import os
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from serinus.delivery.routing import Publisher
from serinus.errors import Unavailable
from serinus.stress import gateways, proc, versions
from serinus.wire import Route, RoutingTable


def test_gateway_runs_with_its_workers_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERINUS_REQUEST_MAX_ROWS", "whoever began it may have set anything")
    route = Route(versions.MODEL, versions.save(tmp_path, 0))
    Publisher(tmp_path / "routing.json").publish(RoutingTable(1, {versions.MODEL: route}))
    with gateways.running(tmp_path, workers=2, settings={"request_max_rows": 3}) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/health/ready"
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert answer.status == 200
        assert len(gateway.workers) == 2
        assert all(proc.memory(pid) > 1e7 for pid in gateway.workers)
        assert gateway.tracebacks() == 0
        before = gateway.workers
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while len(gateway.workers) < 2 or gateway.workers == before:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert gateway.process.poll() is not None
    assert proc.children(gateway.process.pid) == []


def test_gateway_that_cannot_start_tells_why(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable) as told,
        gateways.running(tmp_path, workers=1, settings={"request_max_rows": "many"}),
    ):
        pass
    assert "request_max_rows" in str(told.value)
