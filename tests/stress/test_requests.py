from __future__ import annotations

import httptools

from serinus.stress import requests


class Seen:
    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.url = self.body = b""
        self.whole = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


def read(data: bytes) -> Seen:
    seen = Seen()
    httptools.HttpRequestParser(seen).feed_data(data)
    assert seen.whole
    return seen


def test_post_is_a_whole_request_with_its_length() -> None:
    seen = read(requests.post("/predict", {"a": 1.5}))
    assert (seen.url, seen.body) == (b"/predict", b'{"a":1.5}')
    assert seen.headers[b"content-type"] == b"application/json"


def test_get_has_neither_body_nor_type() -> None:
    assert set(read(requests.get("/health")).headers) == {b"host"}


def test_build_adds_headers() -> None:
    seen = read(requests.build(b"POST", b"/", b"xy", [(b"x-a", b"1")], kind=b"a/b"))
    assert seen.headers[b"x-a"] == b"1"
    assert seen.headers[b"content-type"] == b"a/b"
    assert seen.body == b"xy"
