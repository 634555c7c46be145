"""The streams of events, over a real server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from tests.api.running import MODEL, Faces

from serinus import clock
from serinus.client.watching import Message, messages
from serinus.registry.types import Stage


@pytest.fixture
def canary(faces: Faces) -> tuple[Faces, str]:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.5], min_requests=10)
    faces.report("1.0.0", "1.1.0")
    return faces, begun.id


def stream(faces: Faces, path: str, last: str = "") -> Iterator[Message]:
    headers = {"last-event-id": last} if last else {}
    with httpx.stream("GET", faces.url + path, headers=headers, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield from messages(answer.iter_lines())


def phase(message: Message) -> str:
    told = json.loads(message.data)
    return str(told.get("deployment", told).get("phase", ""))


def test_stream_tells_each_change_and_ends_with_the_deployment(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    told = []
    for message in stream(faces, f"/deployments/{begun}/events"):
        if not told:
            faces.app.delivery.abort(begun, actor="ann", reason="enough")
        told.append((message.name, phase(message)))
    assert told == [("status", "running"), ("status", "aborted"), ("end", "")]


def test_stream_goes_on_after_the_last_event_that_came(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    path = f"/deployments/{begun}/events"
    with_all = stream(faces, path)
    first = next(with_all)
    again: list[Message] = []
    other = threading.Thread(target=lambda: again.extend(stream(faces, path, first.id)))
    other.start()
    # Nothing is new to the one that comes back, until something is.
    clock.sleep(1.2)
    assert again == []
    faces.app.delivery.abort(begun, actor="ann", reason="enough")
    other.join(10)
    assert [(item.name, phase(item)) for item in again] == [("status", "aborted"), ("end", "")]
    # Numbers of another process mean nothing here: everything is told.
    assert phase(next(stream(faces, path, "feed-999999"))) == "aborted"
    with_all.close()


def test_stream_of_all_tells_those_of_a_model(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    for path in ("/deployments/events", f"/api/deployments/events?model={MODEL}"):
        message = next(stream(faces, path))
        told = json.loads(message.data)
        assert (message.name, told["id"], told["phase"]) == ("glance", begun, "running")
    assert httpx.get(f"{faces.url}/deployments/events?model=nobody").status_code == 404
    assert httpx.get(f"{faces.url}/deployments/nobody/events").status_code == 404


def test_stream_stays_while_the_store_is_away(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    fails = threading.Event()

    def away(*_: object, **__: object) -> None:
        if fails.is_set():
            raise OperationalError("SELECT", {}, ConnectionError("away"))

    events = stream(faces, f"/deployments/{begun}/events")
    assert phase(next(events)) == "running"
    event.listen(faces.app.engine, "before_cursor_execute", away)
    fails.set()
    clock.sleep(1.2)
    fails.clear()
    faces.app.delivery.abort(begun, actor="ann", reason="enough")
    assert phase(next(events)) == "aborted"
    event.remove(faces.app.engine, "before_cursor_execute", away)
    events.close()


def test_slow_readers_harm_nobody(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    address = urlsplit(faces.url)
    silent = []
    for _ in range(20):
        # They ask and never read.
        one = socket.create_connection((address.hostname or "", address.port or 0), timeout=5)
        one.sendall(f"GET /deployments/{begun}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        silent.append(one)
    events = stream(faces, f"/deployments/{begun}/events")
    next(events)
    began = clock.monotonic()
    faces.app.delivery.pause(begun, actor="ann", reason="lunch")
    assert phase(next(events)) == "paused"
    assert clock.monotonic() - began < 5
    assert httpx.get(f"{faces.url}/health", timeout=5).status_code in (200, 503)
    events.close()
    for one in silent:
        one.close()


def test_status_page_tells_everything_of_each_model(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    faces.traffic(100, 100)
    (item,) = httpx.get(f"{faces.url}/deployments/status").json()["items"]
    assert item["deployment"]["id"] == begun
    assert item["counts"]["rates"]["champion"] > 0
    assert item["ahead"]["sentence"]
    assert [move["to_phase"] for move in item["latest"]] == ["pending", "running"]
    one = httpx.get(f"{faces.url}/deployments/status/{MODEL}").json()
    assert one["verdict"] == item["verdict"]
