"""A control plane that is away for a moment: what is asked again, and what never."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from serinus import clock
from serinus.client import AsyncSerinus, Serinus, calls, interventions, jobs, patience, rollbacks
from serinus.client.calls import Call
from serinus.client.patience import Attempts, Outage
from serinus.errors import Unavailable

LOOK = Call("GET", "/models/m", dict[str, Any])


class Breaking(ThreadingHTTPServer):
    """Hears every call, and breaks off the connection of the first ones instead of answering.

    Where it is given ``instead``, a status and a content type, it answers those with that.
    """

    daemon_threads = True

    def __init__(self, port: int, broken: int, instead: tuple[int, str] | None) -> None:
        self.broken = broken
        self.instead = instead
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Breaking

    def answer(self) -> None:
        self.server.heard.append(self.path)
        self.close_connection = True
        well = (200, "application/json")
        answer = well if len(self.server.heard) > self.server.broken else self.server.instead
        if answer is not None:
            self.send_response(answer[0])
            self.send_header("content-type", answer[1])
            self.end_headers()
            self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def breaking(
    broken: int, port: int = 0, instead: tuple[int, str] | None = None
) -> Iterator[Breaking]:
    with Breaking(port, broken, instead) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def free() -> int:
    """A port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.02)


def ask(kind: type[Serinus | AsyncSerinus], port: int, call: Call[Any], **given: float) -> Any:
    """What a new client of this kind is answered."""
    url = f"http://127.0.0.1:{port}"

    async def awaited() -> Any:
        async with AsyncSerinus(url, url, **given) as client:
            return await client.run(call)

    if kind is AsyncSerinus:
        return asyncio.run(awaited())
    with Serinus(url, url, **given) as client:
        return client.run(call)


def plainly(call: Call[Any]) -> Call[Any]:
    """A call whose answer may be anything."""
    return Call(call.method, call.path, dict[str, Any], idempotent=call.idempotent)


@pytest.mark.parametrize("kind", [Serinus, AsyncSerinus])
def test_a_restart_is_outlasted(kind: type[Serinus | AsyncSerinus], free: int) -> None:
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(ask(kind, free, LOOK)))
    asking.start()
    clock.sleep(0.1)
    with breaking(2, free) as server:
        asking.join(10)
    assert found == [{}]
    assert len(server.heard) == 3


@pytest.mark.parametrize(
    "call",
    [
        LOOK,
        rollbacks.set_default("m", 1),
        rollbacks.clear_default("m"),
        rollbacks.rollback("m"),
        interventions.approve("d", step=1),
        rollbacks.decline_rollback("r"),
        *(
            getattr(interventions, verb)("d")
            for verb in ("pause", "resume", "promote", "abort", "retry")
        ),
        jobs.train("iris", "m", key="nightly"),
        jobs.cancel_job("j"),
        calls.forecast("m", "1.1.0"),
    ],
    ids=lambda call: f"{call.method} {call.path}",
)
def test_what_may_arrive_twice_is_asked_again(call: Call[Any]) -> None:
    with breaking(1) as server:
        assert ask(Serinus, server.server_port, plainly(call)) == {}
    assert server.heard == [call.path] * 2


@pytest.mark.parametrize(
    "call",
    [
        calls.deploy("m", "1.1.0"),
        jobs.train("iris", "m"),
        calls.register("m", "runs:/r/model"),
        calls.promote_version("m", "1.1.0"),
        interventions.approve("d"),
    ],
    ids=lambda call: call.path,
)
@pytest.mark.parametrize("kind", [Serinus, AsyncSerinus])
def test_what_may_not_arrive_twice_is_asked_once(
    kind: type[Serinus | AsyncSerinus], call: Call[Any]
) -> None:
    with breaking(1) as server, pytest.raises(Unavailable, match="gave no answer") as caught:
        ask(kind, server.server_port, call)
    assert server.heard == [call.path]
    assert caught.value.where == f"POST {call.path}"
    assert "may have been carried out" in caught.value.remedy


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("kind", [Serinus, AsyncSerinus])
def test_a_restart_behind_a_proxy_is_outlasted(
    kind: type[Serinus | AsyncSerinus], status: int
) -> None:
    with breaking(2, instead=(status, "text/html")) as server:
        assert ask(kind, server.server_port, LOOK) == {}
    assert len(server.heard) == 3


@pytest.mark.parametrize("kind", [Serinus, AsyncSerinus])
def test_what_may_not_arrive_twice_is_asked_once_through_a_proxy(
    kind: type[Serinus | AsyncSerinus],
) -> None:
    with (
        breaking(1, instead=(502, "text/html")) as server,
        pytest.raises(Unavailable, match="a proxy answered 502") as caught,
    ):
        ask(kind, server.server_port, calls.deploy("m", "1.1.0"))
    assert server.heard == ["/deployments"]
    assert "may have been carried out" in caught.value.remedy


def test_what_says_itself_that_it_cannot_is_asked_once() -> None:
    ours = (503, "application/problem+json")
    with breaking(1, instead=ours) as server, pytest.raises(Unavailable, match="answered 503"):
        ask(Serinus, server.server_port, LOOK)
    assert len(server.heard) == 1


def test_who_got_no_connection_of_the_pool_was_not_heard() -> None:
    attempts = Attempts(calls.deploy("m", "1.1.0"), 30.0, 10.0)
    assert attempts.pause_after(httpx.PoolTimeout("")) == 0.02
    assert attempts.pause_after(httpx.ReadTimeout("")) is None


@pytest.mark.parametrize(
    "call", [calls.system_health(), calls.predict({"a": 1.0})], ids=lambda call: call.plane
)
def test_health_and_the_gateway_are_asked_once(call: Call[Any]) -> None:
    with breaking(1) as server, pytest.raises(Unavailable, match="broke off the connection"):
        ask(Serinus, server.server_port, call)
    assert server.heard == [call.path]


def test_what_nobody_heard_is_asked_again_and_done_once(free: int) -> None:
    found: list[Any] = []
    call = plainly(calls.deploy("m", "1.1.0"))
    asking = threading.Thread(target=lambda: found.append(ask(Serinus, free, call)))
    asking.start()
    clock.sleep(0.1)
    with breaking(0, free) as server:
        asking.join(10)
    assert found == [{}]
    assert server.heard == ["/deployments"]


@pytest.mark.parametrize(
    ("call", "given", "most"),
    [
        (calls.health(), {}, 0.0),
        (calls.model_info(), {}, 0.0),
        (LOOK, {"patience": 0.0}, 0.0),
        (LOOK, {"patience": 0.3}, 0.3),
        (LOOK, {"timeout": 0.3}, 0.3),
    ],
    ids=["health", "gateway", "none", "patience", "timeout"],
)
def test_patience_ends(free: int, call: Call[Any], given: dict[str, float], most: float) -> None:
    began = clock.monotonic()
    with pytest.raises(Unavailable, match="answers at http"):
        ask(Serinus, free, call, **given)
    assert most - 0.2 < clock.monotonic() - began < most + 3.0


def test_pauses_grow_and_attempts_share_their_time() -> None:
    attempts = Attempts(LOOK, 30.0, 10.0)
    pauses = [attempts.pause_after(httpx.ConnectError("")) for _ in range(8)]
    assert pauses[:3] == [0.02, 0.04, 0.08]
    assert pauses[-2:] == [1.0, 1.0]
    assert 29.0 < attempts.seconds <= 30.0
    spent = Attempts(LOOK, 0.0, 10.0)
    assert spent.pause_after(httpx.ConnectError("")) is None
    assert spent.seconds > 0


class Hands:
    """Those of a clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    found = Hands()
    monkeypatch.setattr(clock, "monotonic", found)
    return found


@pytest.mark.parametrize(
    ("seconds", "left"), [(0.2, []), (1.5, [1]), (10.0, [9])], ids=["hiccup", "short", "long"]
)
def test_who_waits_long_is_told_once_what_for(
    hands: Hands, seconds: float, left: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    attempts = Attempts(LOOK, 30.0, seconds)
    while (pause := attempts.pause_after(httpx.ConnectError(""))) is not None:
        hands.now += pause
    assert seconds - 1.0 < hands.now - 1_000.0 <= seconds
    assert caplog.messages == [
        f"The control plane does not answer; it is tried for {more} s more." for more in left
    ]


def test_an_outage_is_borne_for_a_minute_each_and_told_once_each(
    hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    outage, away = Outage(hands.now + 1_000.0), Unavailable("nobody answers")
    for _ in range(2):
        outage.end()
        for _ in range(60):
            outage.bear(away)
            hands.now += 1.0
        with pytest.raises(Unavailable, match="nobody answers"):
            outage.bear(away)
    assert caplog.messages == ["The control plane does not answer; it is tried for 59 s more."] * 2


def test_looks_have_a_client_s_patience_until_the_first_answer(hands: Hands) -> None:
    outage = Outage(hands.now + 12.0)
    assert outage.patience(10.0) == 10.0
    hands.now += 8.0
    assert outage.patience(10.0) == 4.0
    hands.now += 8.0
    assert outage.patience(10.0) == 0.0
    with pytest.raises(Unavailable):
        outage.bear(Unavailable("nobody answers"))
    outage.end()
    assert Outage(hands.now + 12.0).patience(0.0) == outage.patience(10.0) == 0.0
