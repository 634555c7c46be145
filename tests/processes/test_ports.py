from __future__ import annotations

import socket

import pytest

from serinus.errors import InvalidInput
from serinus.processes import ports


def test_check_names_a_taken_port_and_its_setting() -> None:
    with ports.listen("127.0.0.1", 0, setting="gateway_port") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InvalidInput) as refusal:
            ports.check("127.0.0.1", port, setting="gateway_port")

    assert f"port {port}" in refusal.value.what
    assert "--gateway-port" in refusal.value.remedy
    assert "SERINUS_GATEWAY_PORT" in refusal.value.remedy
    ports.check("127.0.0.1", port, setting="gateway_port")


def test_listen_refuses_an_address_of_another_machine() -> None:
    with pytest.raises(InvalidInput, match="cannot be used"):
        ports.listen("192.0.2.1", 8080, setting="host")


def test_free_is_a_port_to_listen_on() -> None:
    with socket.create_server(("127.0.0.1", ports.free("127.0.0.1"))) as listener:
        assert listener.getsockname()[1] > 0
