"""An open load against real servers that answer, stall and break."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import numpy as np
import pytest

from serinus.stress import requests
from serinus.stress.load import OpenLoad, Reply

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def drive(
    answer: Callable[[asyncio.StreamWriter, int], Awaitable[None]], *, rate: float, seconds: float
) -> tuple[OpenLoad, list[Reply]]:
    """Load on a server that does as ``answer`` says with each request, counted from 0."""
    count = iter(range(100_000))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await answer(writer, next(count))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    replies: list[Reply] = []
    load = OpenLoad(port, lambda n: requests.get(f"/{n}"), replies.append, rate=rate, connections=3)
    async with load:
        await asyncio.sleep(seconds)
    server.close()
    await asyncio.sleep(0.05)
    return load, replies


def test_load_keeps_its_rate_and_every_request_is_answered() -> None:
    async def answer(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(ANSWER)

    load, replies = asyncio.run(drive(answer, rate=200, seconds=0.5))
    assert 80 <= load.sent <= 121
    assert sorted(reply.number for reply in replies) == list(range(load.sent))
    assert {reply.connection for reply in replies} == {0, 1, 2}
    assert load.dropped == []


def test_load_of_many_clients_comes_in_bursts() -> None:
    due: list[float] = []

    async def drive_at_random() -> None:
        load = OpenLoad(
            1, lambda _: b"", lambda _: None, rate=1_000, connections=0, chance=Random(3)
        )
        load._send = lambda _, when: due.append(when)  # type: ignore[method-assign]
        pacing = asyncio.create_task(load._pace())
        await asyncio.sleep(0.5)
        pacing.cancel()

    asyncio.run(drive_at_random())
    gaps = np.diff(due)
    # Of exponential gaps the standard deviation is the mean; of even ones it would be 0.
    assert np.std(gaps) == pytest.approx(np.mean(gaps), rel=0.4)
    assert np.mean(gaps) == pytest.approx(0.001, rel=0.4)


def test_load_counts_the_time_that_a_stall_keeps_others_waiting() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        # Each connection stalls once: nobody is left to take what is due meanwhile.
        if number < 3:
            await asyncio.sleep(0.4)
        writer.write(ANSWER)

    load, replies = asyncio.run(drive(answer, rate=100, seconds=0.6))
    slow = [reply for reply in replies if reply.latency > 0.1]
    assert len(slow) > 20
    assert load.dropped == []


def test_load_counts_what_a_broken_connection_loses_and_goes_on() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number in (5, 9):
            writer.close()
        else:
            writer.write(ANSWER)

    load, replies = asyncio.run(drive(answer, rate=100, seconds=0.5))
    assert len(load.dropped) == 2
    assert len(replies) == load.sent - 2
    assert load.opened == 5


def test_load_takes_garbage_for_no_answer() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"garbage\r\n\r\n" if number == 3 else ANSWER)

    load, _ = asyncio.run(drive(answer, rate=100, seconds=0.3))
    assert len(load.dropped) == 1


def test_load_opens_a_connection_anew_that_the_server_ends_in_good_order() -> None:
    async def answer(writer: asyncio.StreamWriter, number: int) -> None:
        if number % 4 == 0:
            writer.write(ANSWER.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"))
            writer.close()
        else:
            writer.write(ANSWER)

    load, replies = asyncio.run(drive(answer, rate=100, seconds=0.4))
    assert load.dropped == []
    assert len(replies) == load.sent
