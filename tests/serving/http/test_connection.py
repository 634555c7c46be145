"""The gateway's own HTTP/1.1, byte by byte: over sockets to a worker, and to a bare connection."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving.http.bodies import FEATURES
from tests.serving.http.pipe import bodies, echo, opened, post

from serinus.serving.http import connection


def connect(serving):
    host, port = serving.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 10)


HEAD = b"POST /models/mood/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


def test_slow_sender_is_told_so(serving):
    with connect(serving) as sender:
        sender.sendall(HEAD + b"content-length: 100\r\n\r\n{")
        answer = sender.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"problem+json" in answer


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        HEAD + b"content-length: -5\r\n\r\n",
        HEAD + b"content-length: abc\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_junk_is_refused(serving, junk):
    with connect(serving) as sender:
        sender.sendall(junk)
        assert b" 400 " in sender.recv(10_000).split(b"\r\n")[0]
    assert serving.post("/models/mood/predict", {"features": FEATURES}).status_code == 200


def test_clients_that_leave_do_no_harm(serving):
    body = b'{"features":{"age":61.0}}'
    for sent in (
        HEAD,
        HEAD + b"content-length: 50\r\n\r\n{",
        HEAD + b"content-length: 25\r\n\r\n" + body,
    ):
        for _ in range(5):
            with connect(serving) as sender:
                sender.sendall(sent)
    assert serving.post("/models/mood/predict", {"features": FEATURES}).status_code == 200
    assert "Traceback" not in serving.log.read_text()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=30), min_size=1, max_size=8),
    st.lists(st.integers(1, 40)),
    st.data(),
)
def test_connection_answers_in_order_however_the_bytes_are_cut(sent, sizes, data):
    late = []
    defer = data.draw(st.booleans())
    made, pipe = opened(late.append if defer else echo)
    stream = b"".join(post(f"/{index}", body) for index, body in enumerate(sent))
    start = 0
    for size in [*sizes, len(stream)]:
        made.data_received(stream[start : start + size])
        start += size
        if start >= len(stream):
            break
    while late:
        echo(late.pop(0))
    assert bodies(pipe.sent) == [b"POST /%d " % n + body for n, body in enumerate(sent)]
    assert not pipe.closed
    assert pipe.reads


def test_connection_many_requests_at_once_do_not_nest():
    made, pipe = opened()
    made.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 5_000)
    assert pipe.sent.count(b"GET / ") == 5_000


def test_connection_reads_no_further_while_an_answer_is_awaited():
    waiting = []
    made, pipe = opened(waiting.append)
    made.data_received(post("/1", b"") + post("/2", b""))
    assert ([each.path for each in waiting], pipe.reads) == ([b"/1"], False)
    echo(waiting[0])
    assert ([each.path for each in waiting], pipe.reads) == ([b"/1", b"/2"], True)


def test_connection_answers_that_wait_for_another_do_not_nest():
    waiting = []

    def first_later(exchange):
        if exchange.path == b"/first":
            waiting.append(exchange)
        else:
            echo(exchange)

    made, pipe = opened(first_later)
    made.data_received(post("/first", b"") + b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 5_000)
    assert pipe.sent == b""
    echo(waiting[0])
    assert pipe.sent.startswith(b"HTTP/1.1 200")
    assert (pipe.sent.count(b"GET / "), pipe.reads) == (5_000, True)


def test_connection_chunks_are_joined_and_trailers_ignored():
    made, pipe = opened()
    made.data_received(
        b"POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nextra: 1\r\n\r\n"
    )
    assert bodies(pipe.sent) == [b"POST /c abcde"]


def test_connection_head_gets_a_length_and_no_body():
    made, pipe = opened()
    made.data_received(b"HEAD /h HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"content-length: 8\r\n" in pipe.sent
    assert pipe.sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("line", "header", "kept", "said"),
    [
        ("HTTP/1.1", "a: b", True, None),
        ("HTTP/1.1", "connection: close", False, b"connection: close"),
        ("HTTP/1.0", "a: b", False, b"connection: close"),
        ("HTTP/1.0", "connection: keep-alive", True, b"connection: keep-alive"),
    ],
)
def test_connection_is_kept_as_the_client_asks(line, header, kept, said):
    made, pipe = opened()
    made.data_received(f"GET / {line}\r\nhost: x\r\n{header}\r\n\r\n".encode())
    assert pipe.closed is not kept
    assert said is None or said in pipe.sent


def test_connection_that_is_to_end_asks_clients_to_go():
    made, pipe = opened()
    made._shared.is_draining = True
    made.data_received(post("/", b""))
    assert b"connection: close" in pipe.sent
    assert pipe.closed


def test_connection_that_is_to_end_begins_nothing_more():
    asked = []

    def note(exchange):
        asked.append(exchange.path)
        echo(exchange)

    made, pipe = opened(note)
    made._shared.is_draining = True
    made.data_received(post("/1", b"") + post("/2", b""))
    assert (asked, bodies(pipe.sent)) == ([b"/1"], [b"POST /1 "])


def test_connection_whose_client_has_said_all_is_answered_first():
    waiting = []
    made, pipe = opened(waiting.append)
    made.data_received(post("/last", b"x"))
    assert made.eof_received() is True
    echo(waiting[0])
    assert bodies(pipe.sent) == [b"POST /last x"]
    assert pipe.closed


def test_connection_lost_is_answered_to_nobody():
    waiting = []
    made, pipe = opened(waiting.append)
    made.data_received(post("/", b""))
    made.connection_lost(None)
    assert not waiting[0].is_open
    echo(waiting[0])
    assert pipe.sent == b""


def test_connection_goes_on_when_a_client_waits_to_be_told():
    made, pipe = opened()
    made.data_received(post("/", b"abc", "expect: 100-continue")[:-3])
    assert pipe.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    pipe.sent = b""
    made.data_received(b"abc")
    assert bodies(pipe.sent) == [b"POST / abc"]


@pytest.mark.parametrize("is_late", [False, True])
def test_connection_offered_an_upgrade_answers_as_it_is_and_ends(is_late):
    waiting = []
    made, pipe = opened(waiting.append if is_late else echo)
    offer = b"GET /u HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    made.data_received(offer + post("/never", b""))
    for each in waiting:
        echo(each)
    assert bodies(pipe.sent) == [b"GET /u "]
    # Nothing further would be read here: a client that is not told waits for ever.
    assert b"connection: close\r\n" in pipe.sent
    assert pipe.closed


def test_connection_target_may_name_the_server():
    asked = []
    made, _ = opened(asked.append)
    made.data_received(b"GET http://host:1/a/b?c=d HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (asked[0].path, asked[0].query) == (b"/a/b", b"c=d")


def test_connection_too_large_is_refused_before_it_is_sent_and_the_rest_is_dropped():
    made, pipe = opened()
    made.data_received(
        b"POST / HTTP/1.1\r\nexpect: 100-continue\r\nhost: x\r\ncontent-length: 101\r\n\r\n"
    )
    assert pipe.sent.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in pipe.sent
    assert not pipe.closed
    made.data_received(b"x" * 100)
    assert not pipe.closed
    made.data_received(b"x")
    assert pipe.closed


def test_connection_too_large_without_a_length_is_refused_on_its_way():
    made, pipe = opened()
    made.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(11):
        made.data_received(b"a\r\n0123456789\r\n")
    assert pipe.sent.startswith(b"HTTP/1.1 413 ")
    assert pipe.sent.count(b"HTTP/1.1") == 1


def test_connection_head_without_an_end_is_refused():
    made, pipe = opened()
    made.data_received(b"GET / HTTP/1.1\r\n")
    for _ in range(connection.MAX_HEAD_BYTES // 1_000 + 1):
        made.data_received(b"x" * 1_000)
    assert pipe.sent.startswith(b"HTTP/1.1 431 ")
    assert pipe.has_ended


def test_connection_head_behind_a_large_body_is_no_part_of_it():
    size = connection.MAX_HEAD_BYTES + 10_000
    made, pipe = opened(lambda exchange: exchange.answer(200, exchange.path), max_bytes=size)
    second = post("/2", b"b")
    made.data_received(post("/1", b"a" * size) + second[:20])
    made.data_received(second[20:])
    assert bodies(pipe.sent) == [b"/1", b"/2"]


def test_connection_trailers_without_an_end_are_refused():
    made, pipe = opened()
    made.data_received(
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: "
    )
    for _ in range(connection.MAX_HEAD_BYTES // 1_000):
        made.data_received(b"y" * 1_000)
    assert pipe.sent == b""
    made.data_received(b"y" * 1_000)
    assert pipe.sent.startswith(b"HTTP/1.1 431 ")
    assert pipe.has_ended


def test_connection_trailers_without_an_end_behind_a_refused_body_are_read_no_further():
    made, pipe = opened()
    made.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    made.data_received(b"65\r\n" + b"a" * 101 + b"\r\n0\r\nx: ")
    made.data_received(b"y" * (connection.MAX_HEAD_BYTES + 1))
    assert pipe.sent.startswith(b"HTTP/1.1 413 ")
    assert pipe.sent.count(b"HTTP/1.1") == 1
    assert pipe.has_ended


def test_connection_many_small_chunks_are_no_head():
    count = connection.MAX_HEAD_BYTES // 4
    made, pipe = opened(max_bytes=count)
    made.data_received(b"POST /c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(count // 16):
        made.data_received(b"1\r\na\r\n" * 16)
    made.data_received(b"0\r\n\r\n")
    assert bodies(pipe.sent) == [b"POST /c " + b"a" * count]


def test_connection_sweep_ends_slow_senders_and_idle_clients():
    slow, pipe = opened(timeout_seconds=1.0)
    slow.data_received(b"POST / HTTP/1.1\r\n")
    for _ in range(3):
        slow.sweep()
    assert pipe.sent.startswith(b"HTTP/1.1 408 ")
    assert pipe.closed
    idle, pipe = opened()
    for _ in range(int(connection.IDLE_SECONDS / connection.SWEEP_SECONDS)):
        idle.sweep()
    assert not pipe.closed
    idle.sweep()
    assert pipe.closed


def test_connection_that_sends_nonsense_has_time_to_read_why():
    made, pipe = opened()
    made.data_received(b"\x00\x01 nonsense\r\n\r\n")
    assert pipe.sent.startswith(b"HTTP/1.1 400 ")
    assert (pipe.has_ended, pipe.closed) == (True, False)
    made.data_received(b"more nonsense")
    assert pipe.sent.count(b"HTTP/1.1") == 1
    for _ in range(int(connection.LINGER_SECONDS / connection.SWEEP_SECONDS)):
        made.sweep()
    assert pipe.closed


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=6), st.booleans())
def test_connection_survives_any_bytes(parts, begins_well):
    made, pipe = opened()
    if begins_well:
        made.data_received(post("/", b"abc"))
    for part in parts:
        if not pipe.closed:
            made.data_received(part)
    made.connection_lost(None)
    assert pipe.sent.startswith(b"HTTP/1.1 ") or not pipe.sent
