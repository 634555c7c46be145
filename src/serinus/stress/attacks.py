"""What hostile and broken clients do to a gateway, each with the answers it may get. Pure.

An attack follows from a seed and its number alone, so any of them can be made again by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from serinus.stress import bodies, requests
from serinus.stress.mutations import mutate, pieces

Ending: TypeAlias = Literal["wait", "silence", "leave", "reset"]
"""``wait`` for the answers, then end the sending; fall silent and see whether the server ends the
connection by itself; ``leave`` at once; or leave with a ``reset`` of the connection."""

ANY = frozenset(range(200, 500))
GOOD = frozenset({200})
BAD = frozenset({400})
REFUSED = frozenset(range(400, 500))
UNPROCESSABLE = frozenset({400, 422})


@dataclass(frozen=True)
class Attack:
    """What one client sends, and what may come of it.

    Attributes:
        name: of its kind.
        parts: what is sent, each by itself.
        statuses: which every answer must have.
        answers: how many must come; None leaves that open.
        pause: seconds between the parts.
        ending: how the client ends.
        head: whether only heads of answers come.
        silent: whether the connection may end without an answer.
    """

    name: str
    parts: tuple[bytes, ...]
    statuses: frozenset[int] = ANY
    answers: int | None = None
    pause: float = 0.0
    ending: Ending = "wait"
    head: bool = False
    silent: bool = False


Make: TypeAlias = Callable[[random.Random], Attack]


def make(seed: int, number: int) -> Attack:
    """Attack ``number`` of a seed."""
    chance = random.Random(f"{seed}:{number}")
    # By turns one that is known by name and one at random.
    if number % 2:
        return _mutated(chance)
    return KINDS[number // 2 % len(KINDS)](chance)


# ------------------------------------------------------------------ requests made wrong at random


def _mutated(chance: random.Random) -> Attack:
    """A request of any route with random changes, perhaps in pieces."""
    request = _any_request(chance)
    sent = mutate(chance, request)
    parts = tuple(pieces(chance, sent)) if chance.random() < 0.3 else (sent,)
    ending: Ending = "wait"
    if chance.random() < 0.05:
        ending = "leave" if chance.random() < 0.5 else "reset"
    return Attack("mutated request", parts, ending=ending, silent=True)


def _any_request(chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return requests.build(chance.choice(bodies.METHODS), chance.choice(bodies.GETS))
    path, body = bodies.valid(chance)
    if chance.random() < 0.2:
        return _chunked(path, [(b"%x" % len(part), part) for part in pieces(chance, body)])
    return requests.build(b"POST", path, body)


def _mutated_body(chance: random.Random) -> Attack:
    """A well-framed request whose body has random changes."""
    path, body = bodies.valid(chance)
    return Attack("mutated body", (requests.build(b"POST", path, mutate(chance, body)),), answers=1)


# ------------------------------------------------------------------ what must be answered well


def _valid(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    return Attack("valid", (requests.build(b"POST", path, body),), GOOD, 1)


def _valid_in_pieces(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    parts = tuple(pieces(chance, requests.build(b"POST", path, body), most=20))
    return Attack("valid in pieces", parts, GOOD, 1, pause=0.002)


def _valid_chunked(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    form = chance.choice((b"%x", b"%X", b"000%x", b"%x;name=value", b'%x;a="b c"'))
    chunks = [(form % len(part), part) for part in pieces(chance, body)]
    trailer = chance.choice((b"", b"", b"x-checksum: 1\r\n"))
    return Attack("valid in chunks", (_chunked(path, chunks, trailer=trailer),), GOOD, 1)


def _pipelined(chance: random.Random) -> Attack:
    count = chance.randint(2, 16)
    sent = b"".join(requests.build(b"POST", *bodies.predict(chance)) for _ in range(count))
    return Attack("pipelined", tuple(pieces(chance, sent)), GOOD, count)


def _continued(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    expect = requests.build(b"POST", path, body, [(b"expect", b"100-continue")])
    cut = len(expect) - len(body)
    return Attack("expect 100", (expect[:cut], expect[cut:]), GOOD, 1, pause=0.05)


def _state(chance: random.Random) -> Attack:
    path = chance.choice(bodies.GETS)
    return Attack("state", (requests.build(b"GET", path),), frozenset({200, 404}), 1)


def _head(chance: random.Random) -> Attack:
    path = chance.choice(bodies.GETS)
    allowed = frozenset({200, 404, 405})
    return Attack("head", (requests.build(b"HEAD", path),), allowed, 1, head=True)


def _blank_lines_first(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    sent = b"\r\n" * chance.randint(1, 2) + requests.build(b"POST", path, body)
    return Attack("blank lines first", (sent,), GOOD, 1)


def _mixed_batch(chance: random.Random) -> Attack:
    good, bad = bodies.row(chance), {"features": {"nonsense": 1}}
    rows = [good, bad, good]
    chance.shuffle(rows)
    sent = requests.post(bodies.BATCH, {"requests": rows})
    return Attack("batch with a bad row", (sent,), GOOD, 1)


# ------------------------------------------------------------------ what must be refused


def _wrong_body(chance: random.Random) -> Attack:
    name, body = chance.choice(bodies.WRONG)
    path = chance.choice((bodies.PREDICT, bodies.BATCH)).encode()
    return Attack(f"body: {name}", (requests.build(b"POST", path, body),), UNPROCESSABLE, 1)


def _wrong_row(chance: random.Random) -> Attack:
    name, changes = chance.choice(bodies.WRONG_FIELDS)
    features = {**bodies.features(chance), **changes}
    body = msgspec.json.encode({"features": {k: v for k, v in features.items() if v != "gone"}})
    request = requests.build(b"POST", bodies.PREDICT.encode(), body)
    return Attack(f"row: {name}", (request,), UNPROCESSABLE, 1)


def _wrong_kind(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    kind = chance.choice(bodies.WRONG_KINDS)
    sent = requests.build(b"POST", path, body, kind=kind)
    return Attack("content type", (sent,), frozenset({400, 415}), 1)


def _too_large(chance: random.Random) -> Attack:
    body = b'{"requests": [' + b" " * chance.randint(bodies.MAX_BYTES, 3 * bodies.MAX_BYTES)
    request = requests.build(b"POST", bodies.BATCH.encode(), body)
    return Attack("body too large", (request,), frozenset({413}))


def _too_large_in_chunks(chance: random.Random) -> Attack:
    part = b" " * 10_000
    chunks = [(b"2710", part)] * (bodies.MAX_BYTES // len(part) + 2)
    sent = _chunked(bodies.PREDICT.encode(), chunks)
    return Attack("chunks too large", tuple(pieces(chance, sent)), frozenset({413}))


def _wrong_length(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    length = chance.choice(bodies.WRONG_LENGTHS)
    sent = _raw(path, [b"content-length: " + length], body)
    return Attack("content-length", (sent,), frozenset({400, 413}))


def _two_lengths(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    other = chance.choice((0, 1, len(body) + 1, len(body) - 1, 10 * len(body)))
    lengths = [b"content-length: %d" % len(body), b"content-length: %d" % other]
    chance.shuffle(lengths)
    if chance.random() < 0.3:
        lengths = [b"content-length: %d, %d" % (len(body), other)]
    return Attack("two lengths", (_raw(path, lengths, body),), BAD)


def _length_and_chunks(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    framing = [b"content-length: %d" % len(body), b"transfer-encoding: chunked"]
    chance.shuffle(framing)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return Attack("length and chunks", (_raw(path, framing, chunked),), BAD)


def _wrong_coding(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    coding = chance.choice(bodies.WRONG_CODINGS)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return Attack("transfer coding", (_raw(path, [coding], chunked),), REFUSED)


def _broken_chunks(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    size = chance.choice(bodies.WRONG_SIZES)
    return Attack("broken chunk", (_chunked(path, [(size, body)]),), REFUSED)


def _endless_chunk(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    sent = _chunked(path, [(chance.choice(bodies.ENDLESS_SIZES), body)])
    return Attack("endless chunk", (sent,), REFUSED, ending="silence")


def _chunk_without_end(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    size = b"%x" % (len(body) - chance.randint(1, 5))
    return Attack("chunk too long", (_chunked(path, [(size, body)]),), BAD)


def _broken_head(chance: random.Random) -> Attack:
    path, _ = bodies.predict(chance)
    line = chance.choice(bodies.WRONG_HEADERS)
    return Attack("broken header", (_raw(path, [line, b"content-length: 0"], b""),), REFUSED)


def _huge_header(chance: random.Random) -> Attack:
    size = chance.choice((600_000, 2_000_000))
    path, body = bodies.predict(chance)
    header = (b"x-" + b"a" * (size // 2), b"b" * (size // 2))
    sent = requests.build(b"POST", path, body, [header])
    return Attack("huge header", (sent,), REFUSED)


def _many_headers(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    many = [(b"x-%d" % number, b"y" * 20) for number in range(chance.choice((5_000, 50_000)))]
    return Attack("many headers", (requests.build(b"POST", path, body, many),), REFUSED)


def _huge_path(chance: random.Random) -> Attack:
    path = b"/" + b"a" * chance.choice((60_000, 600_000, 1_000_000))
    return Attack("huge path", (requests.build(b"GET", path),), REFUSED)


def _wrong_line(chance: random.Random) -> Attack:
    name, line = chance.choice(bodies.WRONG_LINES)
    sent = line + b"\r\nhost: a\r\ncontent-length: 0\r\n\r\n"
    return Attack(f"request line: {name}", (sent,), REFUSED)


def _other_protocol(chance: random.Random) -> Attack:
    return Attack("other protocol", (chance.choice(bodies.OTHER_PROTOCOLS),), REFUSED, silent=True)


def _wrong_route(chance: random.Random) -> Attack:
    path, method = chance.choice(bodies.WRONG_PATHS), chance.choice((b"GET", b"POST", b"PUT"))
    body = None if method == b"GET" else b"{}"
    return Attack("no such route", (requests.build(method, path, body),), REFUSED, 1)


def _noise(chance: random.Random) -> Attack:
    sent = chance.randbytes(chance.randint(1, 3_000))
    return Attack("noise", (sent,), REFUSED, silent=True)


# ------------------------------------------------------------------ clients that are slow or leave


def _silent(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    whole = requests.build(b"POST", path, body)
    kept = chance.randint(1, len(whole) - 1)
    return Attack("falls silent", (whole[:kept],), frozenset({400, 408}), ending="silence")


def _dripping(chance: random.Random) -> Attack:
    path, body = bodies.predict(chance)
    whole = requests.build(b"POST", path, body)
    drops = tuple(whole[at : at + 1] for at in range(min(40, len(whole) - 1)))
    return Attack("drips", drops, frozenset({400, 408}), pause=0.2, ending="silence")


def _leaves(chance: random.Random) -> Attack:
    whole = _any_request(chance)
    sent = whole[: chance.randint(1, len(whole))]
    ending: Ending = "leave" if chance.random() < 0.5 else "reset"
    return Attack("leaves", tuple(pieces(chance, sent, most=3)), ending=ending, silent=True)


KINDS: Sequence[Make] = (
    _valid,
    _valid_in_pieces,
    _valid_chunked,
    _pipelined,
    _continued,
    _state,
    _head,
    _blank_lines_first,
    _mixed_batch,
    _mutated_body,
    _wrong_body,
    _wrong_row,
    _wrong_kind,
    _too_large,
    _too_large_in_chunks,
    _wrong_length,
    _two_lengths,
    _length_and_chunks,
    _wrong_coding,
    _broken_chunks,
    _endless_chunk,
    _chunk_without_end,
    _broken_head,
    _huge_header,
    _many_headers,
    _huge_path,
    _wrong_line,
    _other_protocol,
    _wrong_route,
    _noise,
    _silent,
    _dripping,
    _leaves,
)


def _raw(path: bytes, lines: Sequence[bytes], body: bytes) -> bytes:
    head = [b"POST %b HTTP/1.1" % path, b"host: a", b"content-type: application/json", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def _chunked(path: bytes, chunks: Sequence[tuple[bytes, bytes]], *, trailer: bytes = b"") -> bytes:
    sent = b"".join(b"%b\r\n%b\r\n" % chunk for chunk in chunks)
    return _raw(path, [b"transfer-encoding: chunked"], sent + b"0\r\n" + trailer + b"\r\n")
