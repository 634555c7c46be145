"""Hostile clients against real servers that take them well, badly, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from serinus.stress import clients
from serinus.stress.attacks import BAD, GOOD, REFUSED, Attack
from serinus.stress.clients import Outcome

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
PROBLEM = b'{"status":400,"detail":"why"}'
REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(PROBLEM), PROBLEM)
)


def meet(attack: Attack, *sent: bytes, closes: bool = True) -> tuple[Outcome, bytes]:
    """An attack on a server that answers its first bytes so; what came of it, what was received."""
    received = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received.extend(await reader.read(65_536))
            for part in sent:
                writer.write(part)
                await asyncio.sleep(0.01)
            if not closes:
                await asyncio.sleep(5)
            while data := await reader.read(65_536):
                received.extend(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run() -> Outcome:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        outcome = await clients.strike(server.sockets[0].getsockname()[1], attack, patience=0.5)
        await asyncio.sleep(0.05)
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)
        return outcome

    return asyncio.run(run()), bytes(received)


def test_client_that_waits_gets_all_its_answers() -> None:
    attack = Attack("two", (b"a", b"b"), GOOD, 2)
    outcome, received = meet(attack, OK[:20], OK[20:] + OK)
    assert [answer.status for answer in outcome.answers] == [200, 200]
    assert received.startswith(b"a")
    assert clients.judge(attack, outcome) == ""


@pytest.mark.parametrize("ending", ["leave", "reset"])
def test_client_that_leaves_expects_nothing(ending) -> None:
    attack = Attack("gone", (b"abc",), ending=ending)
    outcome, _ = meet(attack, OK, closes=False)
    assert clients.judge(attack, outcome) == ""


def test_client_that_falls_silent_finds_out_that_nobody_minds() -> None:
    attack = Attack("silent", (b"abc",), REFUSED, ending="silence")
    outcome, _ = meet(attack, closes=False)
    assert "left hanging" in clients.judge(attack, outcome)


def test_client_without_a_server_is_told() -> None:
    outcome = asyncio.run(clients.strike(1, Attack("any", (b"a",)), patience=1))
    assert "no connection" in clients.judge(Attack("any", (b"a",)), outcome)


@pytest.mark.parametrize(
    ("sent", "attack", "fault"),
    [
        (REFUSAL, Attack("x", (b"a",), BAD), ""),
        (OK, Attack("x", (b"a",), BAD), "answered 200"),
        (REFUSAL, Attack("x", (b"a",), GOOD), "answered 400"),
        (OK + OK, Attack("x", (b"a",), GOOD, 1), "2 answers instead of 1"),
        (b"", Attack("x", (b"a",), BAD), "without a word"),
        (b"", Attack("x", (b"a",), BAD, silent=True), ""),
        (b"junk\r\n\r\n", Attack("x", (b"a",)), "no status line"),
        (OK[:-1], Attack("x", (b"a",)), "ended within an answer"),
        (REFUSAL.replace(b"why", b""), Attack("x", (b"a",)), "ended within"),
        (REFUSAL.replace(b"400,", b"500,"), Attack("x", (b"a",)), "gives no reason"),
        (REFUSAL.replace(b"problem+json", b"problem+text"), Attack("x", (b"a",)), "no reason"),
    ],
)
def test_judge_tells_what_was_wrong(sent: bytes, attack: Attack, fault: str) -> None:
    outcome, _ = meet(attack, sent)
    told = clients.judge(attack, outcome)
    assert fault in told if fault else told == ""


@pytest.mark.parametrize("body", [b'{"error":"x"}', b'{"error_code":"y","message":"x"}'])
def test_judge_takes_the_reasons_of_other_protocols(body: bytes) -> None:
    head = b"HTTP/1.1 400 No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    attack = Attack("x", (b"a",), BAD, 1)
    outcome, _ = meet(attack, head % len(body) + body)
    assert clients.judge(attack, outcome) == ""
