"""Bodies, paths and lines of requests, right ones and wrong ones, for the two models under attack.

``levels`` takes four numbers, ``mixed`` one input of each type, of which some may be missing.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from serinus.stress.versions import MIXED, MODEL, NAMES

MAX_BYTES = 100_000
MAX_ROWS = 100
PREDICT = f"/models/{MODEL}/predict"
BATCH = f"/models/{MODEL}/predict/batch"

METHODS = (b"GET", b"GET", b"GET", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")
GETS = (
    b"/health",
    b"/health/live",
    b"/health/ready",
    b"/model-info",
    b"/stats",
    b"/metrics",
    b"/openapi.json",
    b"/models/" + MODEL.encode(),
    b"/models/" + MIXED.encode(),
    b"/v2",
    b"/v2/health/live",
    b"/v2/health/ready",
    b"/v2/models/" + MODEL.encode(),
    b"/v2/models/" + MODEL.encode() + b"/ready",
    b"/ping",
    b"/version",
    b"/staging/model-info",
    b"/staging/models/" + MODEL.encode(),
)
_NUMBERS = (0.0, -0.0, 1.5, -1e308, 1e308, 5e-324, 1e-7, 3.0, 2**53 + 0.0)
_LONGS = (0, -1, 2**31, 2**63 - 1, -(2**63), 7)
_TEXTS = ("", "Ulm", "a" * 500, "ü€😀", "\u0000", '"\\', "\u2028", "NaN")


def features(chance: random.Random) -> dict[str, Any]:
    """The inputs of one row of ``levels``."""
    return {name: chance.choice(_NUMBERS) for name in NAMES}


def row(chance: random.Random) -> dict[str, Any]:
    """One row of ``levels``, perhaps with all that a row may have besides."""
    made: dict[str, Any] = {"features": features(chance)}
    if chance.random() < 0.3:
        made["entity"] = chance.choice(("someone", 7, -1, "ü" * 100, 2**70))
    if chance.random() < 0.3:
        made["model"] = MODEL
    return made


def _mixed_row(chance: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {"number": chance.choice(_NUMBERS), "town": chance.choice(_TEXTS)}
    if chance.random() < 0.7:
        made["count"] = chance.choice(_LONGS)
    if chance.random() < 0.7:
        made["flag"] = chance.random() < 0.5
    return {"features": made}


def predict(chance: random.Random) -> tuple[bytes, bytes]:
    """Path and body of a request that must be answered."""
    turn = chance.random()
    if turn < 0.6:
        return PREDICT.encode(), msgspec.json.encode(row(chance))
    if turn < 0.8:
        rows = [row(chance) for _ in range(chance.choice((1, 1, 2, 2, 10, MAX_ROWS)))]
        return BATCH.encode(), msgspec.json.encode({"requests": rows})
    return f"/models/{MIXED}/predict".encode(), msgspec.json.encode(_mixed_row(chance))


def valid(chance: random.Random) -> tuple[bytes, bytes]:
    """Path and body of a request that is well formed, of any route that takes a body."""
    turn = chance.random()
    if turn < 0.6:
        return predict(chance)
    path, document = chance.choice(_OTHERS)
    if path == b"/feedback" and turn < 0.8:
        document = {"labels": [document] * chance.choice((1, 3, 50))}
    return path, msgspec.json.encode(document)


_ROW = dict.fromkeys(NAMES, 1.0)
_OTHERS: tuple[tuple[bytes, Any], ...] = (
    (b"/predict", {"features": _ROW, "model": MODEL}),
    (b"/predict/batch", {"requests": [{"features": _ROW, "model": MODEL}]}),
    (b"/feedback", {"prediction_id": "0" * 32, "label": 1.0, "value": 2.0}),
    (b"/feedback", {"prediction_id": "0123456789abcdef" * 2, "label": "yes"}),
    (b"/reload-model", {}),
    (b"/staging/predict", {"features": _ROW}),
    (b"/staging/predict/batch", {"requests": [{"features": _ROW}] * 3}),
    (f"/staging/models/{MODEL}/predict".encode(), {"features": _ROW, "model": MODEL}),
    (b"/invocations", {"dataframe_split": {"columns": list(NAMES), "data": [[1.0] * 4] * 2}}),
    (b"/invocations", {"dataframe_records": [_ROW]}),
    (b"/invocations", {"instances": [_ROW]}),
    (b"/invocations", {"inputs": {name: [1.0, 2.0] for name in NAMES}}),
    (
        f"/v2/models/{MODEL}/infer".encode(),
        {
            "id": "1",
            "inputs": [
                {"name": name, "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]}
                for name in NAMES
            ],
        },
    ),
    (
        f"/v2/models/{MODEL}/infer".encode(),
        {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [[1, 2, 3, 4]]}]},
    ),
)

_GOOD = msgspec.json.encode({"features": _ROW})
WRONG = (
    ("empty", b""),
    ("blank", b" \r\n\t"),
    ("truncated", _GOOD[:-7]),
    ("followed by more", _GOOD + _GOOD),
    ("no UTF-8", _GOOD.replace(b'"a"', b'"\xff\xfe"')),
    ("UTF-16", _GOOD.decode().encode("utf-16")),
    ("marked by a byte order", b"\xef\xbb\xbf" + _GOOD),
    ("half a character", b'{"features": {"a": "\\ud800"}}'),
    ("null bytes", b"\x00" * 50),
    ("NaN", _GOOD.replace(b"1.0", b"NaN", 1)),
    ("Infinity", _GOOD.replace(b"1.0", b"-Infinity", 1)),
    ("beyond all numbers", _GOOD.replace(b"1.0", b"1e999", 1)),
    ("an endless number", _GOOD.replace(b"1.0", b"9" * 5_000, 1)),
    ("deep lists", b"[" * 40_000),
    ("deep objects", b'{"features":' * 8_000),
    ("deep and whole", b"[" * 30_000 + b"]" * 30_000),
    ("a list", b"[1]"),
    ("a number", b"1"),
    ("null", b"null"),
    ("a comment", b"/* */" + _GOOD),
    ("single quotes", _GOOD.replace(b'"', b"'")),
    ("an empty batch", b'{"requests": []}'),
    ("no batch", b'{"requests": {}}'),
    ("too many rows", msgspec.json.encode({"requests": [{"features": {}}] * (MAX_ROWS + 1)})),
    ("rows and more", b'{"requests": [], "more": 1}'),
    ("no rows at all", b'{"request": [1]}'),
)
"""By name: bodies that are wrong as a whole, for one row and for a batch alike."""

WRONG_FIELDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("a field is missing", {"a": "gone"}),
    ("a field is unknown", {"e": 1.0}),
    ("a name of null bytes", {"\u0000": 1.0}),
    ("text for a number", {"a": "1.0"}),
    ("null for a number", {"a": None}),
    ("true for a number", {"a": True}),
    ("a list for a number", {"a": [1.0]}),
    ("an object for a number", {"a": {"a": 1.0}}),
    ("deep in a field", {"a": [[[[[[[[1.0]]]]]]]]}),
)
WRONG_KINDS = (
    b"text/plain",
    b"application/xml",
    b"application/json; charset=utf-16",
    b"application/x-www-form-urlencoded",
    b"multipart/form-data; boundary=x",
    b"",
    b"json",
    b"\xff\xfe",
)
WRONG_LENGTHS = (
    b"-1",
    b"+5",
    b"0x10",
    b"1e3",
    b"5 5",
    b"abc",
    b"",
    b"9" * 30,
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775808",
    b"10000000000",
    b"\xb2",
)
WRONG_CODINGS = (
    b"transfer-encoding: gzip",
    b"transfer-encoding: chunked, gzip",
    b"transfer-encoding: chunked, chunked",
    b"transfer-encoding: xchunked",
    b"transfer-encoding: identity",
    b"transfer-encoding : chunked",
    b"transfer-encoding: chunked\r\ntransfer-encoding: identity",
)
WRONG_SIZES = (
    b"",
    b"-1",
    b"+5",
    b"xyz",
    b"0x5",
    b"ffffffffffffffffff",
    b"5 5",
    b"\x00",
    b"f" * 5_000,
)
ENDLESS_SIZES = (b"ffffffffffffffff", b"7fffffffffffffff", b"80000000", b"2dc6c0")
WRONG_HEADERS = (
    b"no colon",
    b": no name",
    b"x y: z",
    b"x\x00: y",
    b"x: a\x00b",
    b"x : y",
    b" folded: first",
    b"x: y\r\n folded",
    b"x: y\rz: w",
    b"\xff: y",
    b"x-serinus-arm: nobody",
    b"content-encoding: gzip",
)
WRONG_LINES = (
    ("no version", b"GET /health"),
    ("version 2", b"GET /health HTTP/2.0"),
    ("version 9", b"GET /health HTTP/9.9"),
    ("no number", b"GET /health HTTP/x.y"),
    ("no path", b"GET HTTP/1.1"),
    ("no slash", b"GET health HTTP/1.1"),
    ("a blank in the path", b"GET /a b HTTP/1.1"),
    ("an unknown method", b"BREW /predict HTTP/1.1"),
    ("small letters", b"get /health HTTP/1.1"),
    ("a null byte", b"GET /he\x00alth HTTP/1.1"),
    ("no UTF-8", b"GET /\xff\xfe HTTP/1.1"),
    ("a tunnel", b"CONNECT example:443 HTTP/1.1"),
    ("everything", b"OPTIONS * HTTP/1.1"),
)
WRONG_PATHS = (
    b"/",
    b"/nothing",
    b"//",
    b"/predict/",
    b"/models/",
    b"/models//predict",
    b"/models/nobody/predict",
    b"/models/%00/predict",
    b"/models/%ff%fe/predict",
    b"/models/%/predict",
    b"/models/" + b"%2f" * 100 + b"/predict",
    b"/models/../../etc/passwd",
    b"/models/levels/predict/batch/more",
    b"/models/levels/predict%00",
    b"/health/../predict",
)
OTHER_PROTOCOLS = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
    b"SSH-2.0-OpenSSH_9.0\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"EHLO example\r\n",
    b"GET /health\r\n\r\n",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
)
