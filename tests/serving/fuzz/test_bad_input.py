"""Bad input, line by line: a 4xx with the reason, and the next request is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from tests.serving.running import Gateway

from serinus.stress import bodies, clients, requests, versions
from serinus.stress.answers import Answer
from serinus.stress.attacks import Attack

ROW = {"features": dict.fromkeys(versions.NAMES, 1.0)}
BODY = msgspec.json.encode(ROW)
PREDICT, BATCH = bodies.PREDICT.encode(), bodies.BATCH.encode()


@pytest.fixture
def gateway(attacked: Gateway) -> Iterator[Gateway]:
    """After each bad input the same worker answers a good one."""
    before = attacked.workers()
    yield attacked
    assert attacked.post(bodies.PREDICT, ROW).status_code == 200
    assert attacked.workers() == before


def send(gateway: Gateway, *parts: bytes, **more: Any) -> list[Answer]:
    """What a client gets for these bytes; whoever is refused is told why."""
    attack = Attack("test", parts, frozenset(range(200, 500)), **more)
    port = int(gateway.url.rpartition(":")[2])
    outcome = asyncio.run(clients.strike(port, attack, patience=6))
    assert clients.judge(attack, outcome) == ""
    return outcome.answers


def post(gateway: Gateway, body: bytes, path: bytes = PREDICT, **more: Any) -> tuple[int, str]:
    """Status and text of the one answer to a body."""
    [answer] = send(gateway, requests.build(b"POST", path, body, **more), answers=1)
    return answer.status, answer.body.decode()


def test_truncated_body_and_truncated_json(gateway: Gateway) -> None:
    status, text = post(gateway, BODY[:-4])
    assert status == 422
    assert "not valid JSON" in text
    whole = requests.build(b"POST", PREDICT, BODY)
    [answer] = send(gateway, whole[:-4], ending="silence")
    assert answer.status == 408
    assert answer.closes


def test_huge_body_announced_or_in_chunks(gateway: Gateway) -> None:
    status, text = post(gateway, b" " * 100_001)
    assert status == 413
    assert "100000 bytes" in text
    head = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" % PREDICT
    answers = send(gateway, head + b"2710\r\n%b\r\n" % (b" " * 10_000) * 20 + b"0\r\n\r\n")
    assert [answer.status for answer in answers] in ([413], [413, 400], [400])


@pytest.mark.parametrize(
    "length", [b"-1", b"99999999999999999999", b"1e3", b"5\r\ncontent-length: 6"]
)
def test_lengths_that_are_none(gateway: Gateway, length: bytes) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-length: %b\r\n\r\n" % (PREDICT, length)
    [answer] = send(gateway, head + BODY)
    assert answer.status in (400, 413)
    assert answer.closes


@pytest.mark.parametrize("count", [1, 3_000])
def test_huge_heads_however_they_come(gateway: Gateway, count: int) -> None:
    header = (b"x-filler", b"y" * (70_000 // count))
    sent = requests.build(b"POST", PREDICT, BODY, [header] * count)
    for parts in ((sent,), tuple(sent[at : at + 5_000] for at in range(0, len(sent), 5_000))):
        answers = send(gateway, *parts, pause=0.001)
        assert [answer.status for answer in answers] == [431]


@pytest.mark.parametrize("line", [b"GET /health", b"GET /health HTTP/2.0", b"GET /health HTTP/0.9"])
def test_other_versions_of_http(gateway: Gateway, line: bytes) -> None:
    [answer] = send(gateway, line + b"\r\nhost: a\r\n\r\n")
    assert answer.status == 400
    assert answer.closes


@pytest.mark.parametrize("path", [PREDICT, BATCH])
def test_deep_nesting(gateway: Gateway, path: bytes) -> None:
    for body in (b"[" * 50_000, b'{"features":' * 8_000, b'{"requests":[' + b"[" * 40_000):
        status, text = post(gateway, body, path)
        assert status == 422
        assert "detail" in text


@pytest.mark.parametrize("bad", [b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80"])
def test_text_that_is_not_utf8(gateway: Gateway, bad: bytes) -> None:
    status, text = post(gateway, BODY.replace(b'"a"', b'"%b"' % bad))
    assert status == 422
    assert "UTF-8" in text


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json; charset=latin-1", b"\xff"])
def test_wrong_content_type(gateway: Gateway, kind: bytes) -> None:
    status, text = post(gateway, BODY, kind=kind)
    assert status == 415
    assert "application/json" in text


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_numbers_that_are_not_finite(gateway: Gateway, value: bytes) -> None:
    status, text = post(gateway, BODY.replace(b"1.0", value, 1))
    assert status == 422
    assert json.loads(text)["where"] == "features.a" or value == b"1e999", text


def test_missing_and_extra_fields(gateway: Gateway) -> None:
    features = dict(ROW["features"])
    del features["c"]
    status, text = post(gateway, msgspec.json.encode({"features": features}))
    assert (status, json.loads(text)["where"]) == (422, "features.c")
    features |= {"c": 1.0, "cc": 2.0}
    status, text = post(gateway, msgspec.json.encode({"features": features}))
    assert (status, json.loads(text)["where"]) == (422, "features.cc")


@pytest.mark.parametrize("value", ["1.0", None, True, [1.0], {"a": 1.0}])
def test_wrong_types(gateway: Gateway, value: object) -> None:
    body = {"features": {**ROW["features"], "b": value}}
    status, text = post(gateway, msgspec.json.encode(body))
    assert (status, json.loads(text)["where"]) == (422, "features.b")
    assert "expected a number" in text


def test_duplicate_keys_are_one_field(gateway: Gateway) -> None:
    status, text = post(gateway, BODY.replace(b'{"a":1.0', b'{"a":9.0,"a":1.0', 1))
    assert status == 200
    assert json.loads(text)["prediction"] == pytest.approx(versions.expected(0, (1.0,) * 4))


@pytest.mark.parametrize("body", [b'{"requests": []}', b'{"requests": {}}', b"{}", b"", b"\0"])
def test_empty_batch_and_no_batch(gateway: Gateway, body: bytes) -> None:
    status, text = post(gateway, body, BATCH)
    assert status == 422
    assert json.loads(text)["detail"]


def test_each_row_of_a_mixed_batch_is_answered_for_itself(gateway: Gateway) -> None:
    good = [{"features": dict.fromkeys(versions.NAMES, float(n))} for n in range(3)]
    bad = [{"features": {}}, {"features": {**ROW["features"], "a": "x"}}, 7]
    rows = [good[0], bad[0], good[1], bad[1], bad[2], good[2]]
    status, text = post(gateway, msgspec.json.encode({"requests": rows}), BATCH)
    assert status == 200
    answers = json.loads(text)["predictions"]
    told = [answer.get("prediction") for answer in answers]
    for place, number in ((0, 0.0), (2, 1.0), (5, 2.0)):
        assert told[place] == pytest.approx(versions.expected(0, (number,) * 4))
    for place in (1, 3, 4):
        assert answers[place]["error"]["status"] == 422
        assert answers[place]["error"]["where"].startswith(f"requests[{place}]")


def test_slow_senders_are_told_and_others_answered_meanwhile(gateway: Gateway) -> None:
    whole = requests.build(b"POST", PREDICT, BODY)
    slow = tuple(whole[at : at + 1] for at in range(20))

    async def both() -> list[clients.Outcome]:
        port = int(gateway.url.rpartition(":")[2])
        dripping = Attack("slow", slow, pause=0.1, ending="silence")
        quick = Attack("quick", (whole,), answers=1)

        async def follow() -> list[clients.Outcome]:
            return [await clients.strike(port, quick, patience=5) for _ in range(20)]

        first, others = await asyncio.gather(clients.strike(port, dripping, patience=6), follow())
        return [first, *others]

    first, *others = asyncio.run(both())
    assert [answer.status for answer in first.answers] == [408]
    assert all(outcome.answers[0].status == 200 for outcome in others)


@pytest.mark.parametrize("ending", ["leave", "reset"])
def test_clients_that_leave(gateway: Gateway, ending: str) -> None:
    whole = requests.build(b"POST", PREDICT, BODY)
    for kept in range(1, len(whole) + 1, 7):
        send(gateway, whole[:kept], ending=ending)


def test_pipelined_answers_come_in_the_order_of_their_requests(gateway: Gateway) -> None:
    rows = [dict.fromkeys(versions.NAMES, float(number)) for number in range(40)]
    sent = b"".join(requests.post(bodies.PREDICT, {"features": row}) for row in rows)
    answers = send(gateway, sent[:700], sent[700:], answers=len(rows))
    told = [json.loads(answer.body)["prediction"] for answer in answers]
    right = [versions.expected(0, tuple(row.values())) for row in rows]
    assert told == pytest.approx(right)
