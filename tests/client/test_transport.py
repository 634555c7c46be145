from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

import msgspec
import pytest
from tests.api.running import MODEL, Faces

from serinus.client import AsyncSerinus, Serinus, patience, transport
from serinus.client.calls import Call
from serinus.client.transport import error_from
from serinus.client.types import DeploymentStatus, Health
from serinus.errors import (
    Conflict,
    InvalidInput,
    Misdirected,
    NotFound,
    SerinusError,
    Unavailable,
)
from serinus.registry.types import Stage

T = TypeVar("T")


def test_nobody_there_says_how_to_start_one() -> None:
    with Serinus("http://127.0.0.1:9", "http://127.0.0.1:9") as client:
        with pytest.raises(Unavailable, match=r"no control plane answers at http://127\.0\.0\.1:9"):
            client.health()
        with pytest.raises(Unavailable, match="no gateway answers") as error:
            client.predict({"a": 1.0})
    assert "serinus up" in error.value.remedy


def test_server_that_is_none_of_ours_is_said_so(faces: Faces) -> None:
    script = Call("GET", "/dashboard/assets/live.js", Health)

    with faces.client as client, pytest.raises(Unavailable, match="none of ours"):
        client.run(script)


@pytest.mark.parametrize("kind", [InvalidInput, NotFound, Conflict, Unavailable, Misdirected])
def test_error_from_is_the_class_that_was_raised(kind: type[SerinusError]) -> None:
    raised = kind("it is so", where="here", remedy="Do that.", faults=["one", "two"])

    found = error_from(kind.status, msgspec.json.encode(raised.problem()))

    assert type(found) is kind
    assert str(found) == str(raised)
    assert found.faults == raised.faults


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (405, b'{"detail": "GET only"}', InvalidInput),
        (500, b"", SerinusError),
        (502, b"<html>", Unavailable),
        (504, b"<html>", Unavailable),
        (404, b"[1]", NotFound),
    ],
)
def test_error_from_anything_is_one_of_ours(
    status: int, document: bytes, kind: type[SerinusError]
) -> None:
    assert type(error_from(status, document)) is kind


def test_async_client_is_the_same_client(faces: Faces) -> None:
    for number in range(3):
        faces.register(f"1.{number}.0")

    async def ask() -> tuple[object, ...]:
        async with AsyncSerinus(faces.url) as client:
            health, model = await asyncio.gather(client.health(), client.model(MODEL))
            versions = [item.version async for item in client.versions(MODEL)]
            with pytest.raises(NotFound):
                await client.model("nobody")
            return health, model, versions

    health, model, versions = asyncio.run(ask())

    with faces.client as client:
        assert health == client.health()
        assert model == client.model(MODEL)
        assert versions == [item.version for item in client.versions(MODEL)]


def test_async_wait_for_gives_up_in_time(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")

    async def ask() -> None:
        async with AsyncSerinus(faces.url) as client:
            begun = await client.deploy(MODEL, "1.1.0")
            with pytest.raises(Unavailable, match="still pending at shadow"):
                await client.wait_for(begun.id, timeout=0)
            reached = await client.wait_for(begun.id, until=lambda status: True)
            assert reached.deployment.id == begun.id

    asyncio.run(ask())


class Flaky(ThreadingHTTPServer):
    """Answers every look with one document, but breaks off the connections it was told to."""

    def __init__(self, document: bytes, broken: set[int]) -> None:
        self.document, self.broken, self.looks = document, broken, 0
        super().__init__(("127.0.0.1", 0), Look)


class Look(BaseHTTPRequestHandler):
    server: Flaky

    def do_GET(self) -> None:
        self.server.looks += 1
        if self.server.looks in self.server.broken:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("content-length", str(len(self.server.document)))
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def flaky(faces: Faces, broken: set[int]) -> Iterator[Flaky]:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        status = client.deployment(client.deploy(MODEL, "1.1.0").id)
    with Flaky(msgspec.json.encode(status), broken) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", [Serinus, AsyncSerinus])
def test_wait_for_outlasts_a_restart(
    faces: Faces, monkeypatch: pytest.MonkeyPatch, kind: type[Serinus | AsyncSerinus]
) -> None:
    monkeypatch.setattr(transport, "_LOOK_SECONDS", 0.01)
    with flaky(faces, {2, 3, 4}) as server:
        client = kind(f"http://127.0.0.1:{server.server_port}")
        looks: list[int] = []

        def seen(status: DeploymentStatus) -> bool:
            looks.append(server.looks)
            return len(looks) == 3

        found = client.wait_for("d", until=seen)
        if not isinstance(found, DeploymentStatus):
            asyncio.run(awaited(found))
        assert looks == [1, 5, 6]


async def awaited(found: Awaitable[T]) -> T:
    return await found


@pytest.mark.parametrize("kind", [Serinus, AsyncSerinus])
def test_wait_for_outlasts_a_restart_that_is_under_way(
    faces: Faces, monkeypatch: pytest.MonkeyPatch, kind: type[Serinus | AsyncSerinus]
) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.01)
    with flaky(faces, {1, 2, 3}) as server:
        client = kind(f"http://127.0.0.1:{server.server_port}")
        found = client.wait_for("d", until=lambda status: True)
        if not isinstance(found, DeploymentStatus):
            asyncio.run(awaited(found))
        assert server.looks == 4


def test_wait_for_gives_up_after_a_long_outage_and_at_once_where_there_is_no_time(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(patience, "_OUTAGE_SECONDS", 0.05)
    with (
        flaky(faces, {1, *range(3, 10_000)}) as server,
        Serinus(f"http://127.0.0.1:{server.server_port}") as client,
    ):
        with pytest.raises(Unavailable, match="broke off the connection"):
            client.wait_for("d", timeout=0)
        assert server.looks == 1
        with pytest.raises(Unavailable, match="broke off the connection"):
            client.wait_for("d")
        assert server.looks > 3


def test_pages_are_fetched_as_they_are_reached(
    faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        faces.register(f"1.{number}.0")
    monkeypatch.setattr("serinus.client.calls.PAGE", 2)
    with faces.client as client:
        asked: list[dict[str, object]] = []
        run = client.run
        monkeypatch.setattr(client, "run", lambda call: asked.append(call.query) or run(call))

        listing = client.versions(MODEL)
        assert next(listing).version == "1.4.0"
        assert len(asked) == 1
        assert [item.version for item in listing] == ["1.3.0", "1.2.0", "1.1.0", "1.0.0"]
        assert [query.get("after") for query in asked] == [None, "1.3.0", "1.1.0"]


def test_methods_carry_their_description() -> None:
    assert "traffic" in (Serinus.deploy.__doc__ or "")
    assert AsyncSerinus.models.__doc__ == "Models by name."
