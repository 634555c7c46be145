"""The SDK's package: its clients, and nothing that speaks HTTP before one is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from serinus import client
from serinus.client import transport


def test_package_gives_its_clients_and_nothing_else() -> None:
    assert client.Serinus is transport.Serinus
    assert client.AsyncSerinus is transport.AsyncSerinus
    with pytest.raises(AttributeError, match="no attribute 'Serinius'"):
        _ = client.Serinius


def test_control_plane_imports_no_http_client_for_the_shapes_of_its_answers() -> None:
    program = "import sys, serinus.processes.control; print({'httpx', 'fastapi'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.decode().strip() == "set()"
