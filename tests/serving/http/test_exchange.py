import gzip
import os
import zlib

import pytest

from serinus.serving.http.exchange import COMPRESS_FROM_BYTES, Exchange, head
from serinus.serving.http.refusal import Refusal


def exchange(*headers, body=b""):
    sent = []
    made = Exchange(
        b"POST", b"/", b"", list(headers), body, lambda lines, body: sent.append((lines, body))
    )
    return made, sent


def test_exchange_only_the_first_answer_counts():
    made, sent = exchange()
    made.answer(200, b"one")
    made.answer(500, b"two")
    assert [body for _, body in sent] == [b"one"]
    assert not made.is_open


def test_exchange_that_was_abandoned_sends_nothing():
    made, sent = exchange()
    made.abandon()
    made.answer(200, b"x")
    assert sent == []


def test_exchange_header_is_the_last_of_its_name():
    made, _ = exchange((b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert (made.header(b"a"), made.header(b"b"), made.header(b"c")) == (b"3", b"2", None)


def test_exchange_answer_carries_its_headers():
    made, sent = exchange()
    made.answer(429, b"{}", b"text/plain", [(b"retry-after", b"3")])
    lines = sent[0][0].split(b"\r\n")
    assert lines == [
        b"HTTP/1.1 429 Too Many Requests", b"content-type: text/plain", b"retry-after: 3", b"",
    ]  # fmt: skip
    assert head(200).startswith(b"HTTP/1.1 200 OK\r\n")


def test_exchange_compresses_what_is_large_for_who_can_read_it():
    large = b"x" * COMPRESS_FROM_BYTES
    for asked, body, packed in (
        (b"gzip, br", large, True),
        (b"br", large, False),
        (b"gzip", large[1:], False),
    ):
        made, sent = exchange((b"accept-encoding", asked))
        made.answer(200, body)
        lines, found = sent[0]
        assert (b"content-encoding: gzip" in lines) is packed
        assert (gzip.decompress(found) if packed else found) == body


@pytest.mark.parametrize(
    ("coding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)]
)
def test_exchange_content_is_unpacked_within_its_limit(coding, pack):
    for body in (pack(b"abc" * 10), pack(b"")):
        made, _ = exchange((b"content-encoding", coding), body=body)
        assert made.content(30) in (b"abc" * 10, b"")
    made, _ = exchange((b"content-encoding", coding), body=pack(b"abc" * 10))
    with pytest.raises(Refusal) as caught:
        made.content(29)
    assert caught.value.status == 413
    for damaged in (b"", pack(b"abc")[:-3], b"nonsense"):
        made, _ = exchange((b"content-encoding", coding), body=damaged)
        with pytest.raises(Refusal) as caught:
            made.content(100)
        assert caught.value.status == 400


def test_exchange_content_is_all_members_of_gzip():
    parts = [b"abc" * 10, b"", os.urandom(100_000), b"end"]
    whole = b"".join(parts)
    made, _ = exchange((b"content-encoding", b"gzip"), body=b"".join(map(gzip.compress, parts)))
    assert made.content(len(whole)) == whole
    with pytest.raises(Refusal) as caught:
        made.content(len(whole) - 1)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(b"abc") + b"nonsense"),
        (b"gzip", gzip.compress(b"abc") + gzip.compress(b"def")[:-3]),
        (b"gzip", gzip.compress(b"") * 100_000),
        (b"deflate", zlib.compress(b"abc") * 2),
    ],
    ids=["nonsense", "cut", "endless", "deflate"],
)
def test_exchange_content_behind_its_end_is_refused(coding, body):
    made, _ = exchange((b"content-encoding", coding), body=body)
    with pytest.raises(Refusal) as caught:
        made.content(100)
    assert caught.value.status == 400


@pytest.mark.parametrize("coding", [b"GZIP", b"Gzip ", b"x-gzip"])
def test_exchange_content_has_codings_in_any_case(coding):
    made, _ = exchange((b"content-encoding", coding), body=gzip.compress(b"abc"))
    assert made.content(3) == b"abc"
    made, _ = exchange((b"content-encoding", b"Identity"), body=b"abc")
    assert made.content(3) == b"abc"


def test_exchange_content_of_an_unknown_coding_is_refused():
    made, _ = exchange((b"content-encoding", b"br"), body=b"x")
    with pytest.raises(Refusal) as caught:
        made.content(100)
    assert caught.value.status == 415
