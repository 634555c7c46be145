"""Every call is a method of both clients."""

from __future__ import annotations

import inspect

import pytest

from serinus.client import AsyncSerinus, Serinus, calls
from serinus.client.methods import Blocking, Listing, Method

BOUND = sorted(
    name for name, value in inspect.getmembers(Blocking) if isinstance(value, Method | Listing)
)


@pytest.mark.parametrize("name", BOUND)
def test_method_says_what_its_call_says(name: str) -> None:
    for client in (Serinus, AsyncSerinus):
        method = getattr(client, name)
        assert method.__doc__
        assert method is inspect.getattr_static(Blocking, name)


def test_deployment_calls_are_methods() -> None:
    assert {"deploy", "pause", "resume", "approve", "promote", "abort", "retry"} <= set(BOUND)
    assert Serinus.deploy.__doc__ == calls.deploy.__doc__
