"""Clients that send and do not read: what they cost has an end, and so has their connection."""

from __future__ import annotations

import asyncio
import socket

import uvloop
from tests.serving.http.pipe import bodies, echo, opened, post

from serinus.serving.http import connection
from serinus.serving.http.connection import Limits, Shared
from serinus.serving.http.exchange import head
from serinus.serving.http.refusal import Refused
from serinus.serving.http.server import Server
from serinus.serving.telling.board import Board
from serinus.serving.workers import gateway


def test_connection_whose_client_does_not_read_gets_no_more_until_it_does():
    asked = []

    def note(exchange):
        asked.append(exchange.path)
        echo(exchange)

    made, pipe = opened(note)
    made.pause_writing()
    assert not pipe.reads
    # What was in the piece that is being parsed.
    made.data_received(post("/1", b"") + post("/2", b"") + post("/3", b"half")[:-2])
    assert (asked, pipe.sent, pipe.reads) == ([], b"", False)
    made.resume_writing()
    assert (asked, pipe.reads) == ([b"/1", b"/2"], True)
    made.data_received(b"lf")
    assert bodies(pipe.sent) == [b"POST /1 ", b"POST /2 ", b"POST /3 half"]


def test_connection_that_is_unread_within_a_row_of_answers_waits_with_the_next():
    made, pipe = opened()
    fill = pipe.write

    def full(data):
        fill(data)
        made.pause_writing()

    pipe.write = full
    made.data_received(b"".join(post(f"/{n}", b"") for n in range(3)))
    for answered in (1, 2, 3):
        assert (len(bodies(pipe.sent)), pipe.reads) == (answered, False)
        made.resume_writing()
    assert pipe.reads
    assert bodies(pipe.sent) == [b"POST /0 ", b"POST /1 ", b"POST /2 "]


def test_connection_unread_whose_client_says_no_more_is_answered_first():
    made, pipe = opened()
    made.pause_writing()
    made.data_received(post("/1", b"") + post("/2", b""))
    assert made.eof_received() is True
    made.close_if_idle()
    assert not pipe.closed
    made.resume_writing()
    assert bodies(pipe.sent) == [b"POST /1 ", b"POST /2 "]
    assert pipe.closed


def test_connection_unread_answers_no_nonsense_in_place_of_a_request():
    made, pipe = opened()
    made.pause_writing()
    made.data_received(post("/1", b"") + b"\x00 nonsense\r\n\r\n")
    assert (pipe.sent, pipe.closed) == (b"", True)
    made.resume_writing()
    assert pipe.sent == b""


def sweeps(made, pipe, between=lambda: None):
    """How many seconds of sweeps it takes until the connection is aborted."""
    for count in range(1, 200):
        between()
        made.sweep()
        if pipe.aborted:
            return count * connection.SWEEP_SECONDS
    raise AssertionError("never")


def test_connection_sweep_ends_who_does_not_read_whatever_is_answered_meanwhile():
    waiting = []
    made, pipe = opened(waiting.append)
    made.data_received(post("/1", b"") + post("/2", b""))

    def answer():
        if waiting:
            echo(waiting.pop())

    made.pause_writing()
    least = connection.UNREAD_SECONDS
    assert least < sweeps(made, pipe, answer) <= least + 2 * connection.SWEEP_SECONDS
    assert len(bodies(pipe.sent)) == 1


def test_connection_sweep_spares_who_reads_now_and_then():
    made, pipe = opened()
    for _ in range(5):
        made.pause_writing()
        for _ in range(int(connection.UNREAD_SECONDS / connection.SWEEP_SECONDS)):
            made.sweep()
        made.resume_writing()
    assert not pipe.closed


def test_connection_sweep_ends_who_does_not_read_the_last_answer():
    made, pipe = opened()
    made.data_received(post("/", b"", "connection: close"))
    assert (pipe.closed, pipe.aborted) == (True, False)
    least = connection.UNREAD_SECONDS
    assert least < sweeps(made, pipe) <= least + 2 * connection.SWEEP_SECONDS


LARGE = b"x" * 15_000
ANSWER = head(200) + b"content-length: 15000\r\n\r\n" + LARGE
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def test_connection_unread_holds_a_few_answers_and_sends_them_all_in_the_end(free_port):
    """Over a real socket: thousands of requests whose answers nobody reads at first."""
    answered, most = 0, 0

    def handle(exchange):
        nonlocal answered, most
        answered += 1
        exchange.answer(200, LARGE)
        buffered = [each._transport.get_write_buffer_size() for each in shared.connections]
        most = max([most, *buffered])

    shared = Shared(
        Limits(100, 20.0), handle, lambda path, refusal: Refused(refusal.status, b"", b"", ())
    )

    async def scenario(port):
        loop = asyncio.get_running_loop()
        with gateway.listen("127.0.0.1", port) as listener, socket.socket() as client:
            server = Server(loop, shared, listener, board=Board(), slot=0)
            server.start()
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", port))
            sending = loop.create_task(loop.sock_sendall(client, REQUEST * 4_000))
            before = -1
            while answered != before:
                before = answered
                await asyncio.sleep(0.2)
            assert 0 < answered < 4_000
            left = 4_000 * len(ANSWER)
            while left:
                received = await loop.sock_recv(client, 1 << 20)
                assert received
                left -= len(received)
            await sending
            await server.stop(0.0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(free_port()), 20))
    assert answered == 4_000
    assert most < 200_000
