from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.api.running import MODEL, Faces

from serinus.client import AsyncSerinus, Serinus
from serinus.client.calls import Call
from serinus.client.transport import error_from
from serinus.client.types import Health
from serinus.errors import Conflict, InvalidInput, NotFound, SerinusError, Unavailable
from serinus.registry.types import Stage


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


@pytest.mark.parametrize("kind", [InvalidInput, NotFound, Conflict, Unavailable])
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
        (502, b"<html>", SerinusError),
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
