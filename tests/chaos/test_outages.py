"""Addresses by way of the proxy."""

from __future__ import annotations

from pathlib import Path

from serinus.chaos import outages
from serinus.chaos.proxy import HOST, Proxy


def test_address_leads_through_the_proxy() -> None:
    with Proxy(Path("/nowhere")) as proxy:
        address = outages.through(proxy, "postgresql://postgres@/chaos_x?host=/tmp/socket")
        assert address == f"postgresql://postgres@{HOST}:{proxy.port}/chaos_x"
