from __future__ import annotations

import pytest

from serinus.errors import InvalidInput
from serinus.serving.http import demands
from serinus.serving.http.exchange import Exchange
from serinus.wire import Arm


def exchange(*headers):
    return Exchange(b"POST", b"/", b"", list(headers), b"", lambda _head, _body: None)


def test_of_a_plain_request_is_nothing():
    assert demands.of(exchange((b"accept", b"*/*"))) == (None, None)


def test_of_a_request_that_demands():
    asked = exchange((b"x-serinus-arm", b"challenger"), (b"x-serinus-timeout-ms", b"250"))
    assert demands.of(asked) == (Arm.CHALLENGER, 0.25)
    assert demands.arm(b"champion") is Arm.CHAMPION


@pytest.mark.parametrize("value", [b"0", b"-1", b"", b"1.5", b"1" * 10, b"\xb2"])
def test_seconds_that_are_none(value):
    with pytest.raises(InvalidInput, match="no time to wait"):
        demands.seconds(value)


@pytest.mark.parametrize("value", [b"shadow", b"", b"\xff", b"CHAMPION"])
def test_arm_that_there_is_none_of(value):
    with pytest.raises(InvalidInput, match="no arm"):
        demands.arm(value)
