"""Bytes made wrong at random: what a broken client, proxy or attacker might send. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise

# What parsers stumble over, to be put anywhere.
TOKENS = (
    b"\x00",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b'"',
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"[" * 200,
    b"]",
    b":",
    b",",
    b"null",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9" * 400,
    b"18446744073709551616",
    b"0x10",
    b"-1",
    b" ",
    b"\t",
    b"%00",
    b"%2f",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"expect: 100-continue\r\n",
    b"HTTP/1.1",
    b"HTTP/9.9",
)


def mutate(chance: random.Random, data: bytes, *, most: int = 4) -> bytes:
    """``data`` with one to ``most`` random changes."""
    for _ in range(chance.randint(1, most)):
        data = chance.choice(_CHANGES)(chance, data)
    return data


def pieces(chance: random.Random, data: bytes, *, most: int = 8) -> list[bytes]:
    """``data`` cut at random places."""
    cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(0, most - 1)))
    edges = [0, *cuts, len(data)]
    return [data[a:b] for a, b in pairwise(edges) if b > a]


def _place(chance: random.Random, data: bytes) -> int:
    return chance.randint(0, len(data))


def _span(chance: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(chance, data)
    return start, min(len(data), start + chance.choice((1, 1, 2, 4, 16, 100)))


def _flip(chance: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _replace(chance: random.Random, data: bytes) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + chance.randbytes(end - start) + data[end:]


def _insert(chance: random.Random, data: bytes) -> bytes:
    at = _place(chance, data)
    return data[:at] + chance.choice(TOKENS) + data[at:]


def _overwrite(chance: random.Random, data: bytes) -> bytes:
    at, token = _place(chance, data), chance.choice(TOKENS)
    return data[:at] + token + data[at + len(token) :]


def _delete(chance: random.Random, data: bytes) -> bytes:
    start, end = _span(chance, data)
    return data[:start] + data[end:]


def _repeat(chance: random.Random, data: bytes) -> bytes:
    start, end = _span(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 2, 50)) + data[end:]


def _swap(chance: random.Random, data: bytes) -> bytes:
    one, other = sorted((_place(chance, data), _place(chance, data)))
    return data[other:] + data[one:other] + data[:one]


def _truncate(chance: random.Random, data: bytes) -> bytes:
    return data[: _place(chance, data)]


def _splice_line(chance: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(chance.randint(0, len(lines)), chance.choice(lines))
    return b"\r\n".join(lines)


_CHANGES: Sequence[Callable[[random.Random, bytes], bytes]] = (
    _flip,
    _flip,
    _replace,
    _insert,
    _insert,
    _overwrite,
    _delete,
    _repeat,
    _swap,
    _truncate,
    _splice_line,
)
