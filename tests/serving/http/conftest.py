"""One gateway for all tests of its HTTP that leave it as it was."""

from __future__ import annotations

import socket

import pytest
from tests.serving.conftest import route
from tests.serving.running import Gateway

LIMITS = {"request_max_bytes": 20_000, "request_max_rows": 50, "request_timeout_seconds": 1.0}


@pytest.fixture(scope="module")
def serving(tmp_path_factory, folders):
    """One gateway with two models; a challenger that does as it is told holds half of one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Gateway(tmp_path_factory.mktemp("asgi"), port, **LIMITS)
    both = route(
        folders, "no", "good", share=0.5, unit="entity", salt="s", deployment="d-1", step=1
    )
    running.publish(3, both, route(folders, "numbers"))
    with running:
        yield running
