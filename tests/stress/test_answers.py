from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.stress.answers import Parser

ONE = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length: 3\r\n\r\nabc"
TWO = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n"


@given(st.lists(st.integers(0, len(ONE + TWO)), max_size=6))
def test_answers_are_the_same_in_any_pieces(cuts: list[int]) -> None:
    data = ONE + TWO
    edges = [0, *sorted(cuts), len(data)]
    parser = Parser()
    found = [answer for start, end in pairwise(edges) for answer in parser.feed(data[start:end])]
    assert [(answer.status, answer.body) for answer in found] == [(200, b"abc"), (404, b"")]
    assert found[0].headers[b"content-type"] == b"a/b"
    assert [answer.closes for answer in found] == [False, True]
    assert parser.rest == b""


def test_answers_to_head_have_no_body_and_interim_ones_are_passed_over() -> None:
    head = ONE.removesuffix(b"abc")
    found = Parser(bodiless=True).feed(b"HTTP/1.1 100 Continue\r\n\r\n" + head + head)
    assert [answer.status for answer in found] == [200, 200]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nno header\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
def test_answers_that_are_badly_framed_are_told(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Parser().feed(data)


def test_answer_cut_short_stays_as_rest() -> None:
    parser = Parser()
    assert parser.feed(ONE[:-1]) == []
    assert parser.rest == ONE[:-1]
