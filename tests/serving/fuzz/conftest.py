"""A gateway with the two models under attack, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.running import Gateway

from serinus.stress import versions
from serinus.wire import Route

LIMITS = {"request_max_bytes": 100_000, "request_max_rows": 50, "request_timeout_seconds": 1.0}


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker that serves both; at the end it is still the same one."""
    from serinus.processes import ports

    home: Path = tmp_path_factory.mktemp("fuzz")
    gateway = Gateway(home / "home", ports.free("127.0.0.1"), **LIMITS)
    gateway.publish(
        1,
        Route(versions.MODEL, versions.save(home, 0)),
        Route(versions.MIXED, versions.save_mixed(home)),
    )
    with gateway:
        before = gateway.workers()
        yield gateway
        assert gateway.workers() == before
        assert "Traceback" not in gateway.log.read_text()
