import asyncio

import pytest

from serinus.serving.http import messages as http
from serinus.serving.http.messages import Body, Left, Refusal


def scope(*headers):
    return {"headers": list(headers)}


def receiving(*parts, leaves=False, stalls=False):
    queue = list(parts)

    async def receive():
        if queue:
            part = queue.pop(0)
            more = bool(queue) or leaves or stalls
            return {"type": "http.request", "body": part, "more_body": more}
        if stalls:
            await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    return receive


def read(body, given, *headers):
    return asyncio.run(body.read(scope(*headers), given))


def test_body_in_pieces_is_joined():
    assert read(Body(100, 1.0), receiving(b"ab", b"", b"cd"))[0] == b"abcd"


def test_body_arm_is_read_from_its_header():
    assert read(Body(100, 1.0), receiving(b""), (http.ARM, b"challenger"))[1] == b"challenger"


@pytest.mark.parametrize("parts", [(b"x" * 11,), (b"x" * 6, b"x" * 5)])
def test_body_too_large_is_refused(parts):
    with pytest.raises(Refusal) as caught:
        read(Body(10, 1.0), receiving(*parts))
    assert caught.value.status == 413
    assert (b"connection", b"close") in caught.value.headers


def test_body_announced_too_large_is_not_read():
    async def never():
        raise AssertionError("read")

    with pytest.raises(Refusal) as caught:
        read(Body(10, 1.0), never, (b"content-length", b"11"))
    assert caught.value.status == 413


def test_body_of_a_client_that_leaves():
    with pytest.raises(Left):
        read(Body(10, 1.0), receiving(b"x", leaves=True))


def test_body_that_takes_too_long_is_refused():
    async def scenario():
        body = Body(10, 0.02)
        reading = asyncio.create_task(body.read(scope(), receiving(b"x", stalls=True)))
        while not reading.done():
            await asyncio.sleep(0.005)
            body.expire()
        with pytest.raises(Refusal) as caught:
            await reading
        assert caught.value.status == 408
        body.expire()

    asyncio.run(scenario())


def test_body_reading_that_is_cancelled_from_outside_stays_cancelled():
    async def scenario():
        reading = asyncio.create_task(Body(10, 9.0).read(scope(), receiving(b"x", stalls=True)))
        await asyncio.sleep(0.005)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=UTF-8", True),
        (b"application/vnd.x+json", True),
        (b"application/json; charset=utf-16", False),
        (b"text/json", False),
        (b"", False),
    ],
)
def test_body_content_type(kind, good):
    given = receiving(b"{}")
    if good:
        assert read(Body(10, 1.0), given, (b"content-type", kind))[0] == b"{}"
    else:
        with pytest.raises(Refusal) as caught:
            read(Body(10, 1.0), given, (b"content-type", kind))
        assert caught.value.status == 415
