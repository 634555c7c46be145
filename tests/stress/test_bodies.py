from __future__ import annotations

import json
import random

import msgspec
import pytest
from tests.stress.test_requests import read

from serinus.errors import InvalidInput
from serinus.serving.protocols.decode import RequestDecoder
from serinus.stress import bodies, requests, versions
from serinus.wire import Field

LEVELS = RequestDecoder(
    versions.MODEL, [Field(name, "double", required=True) for name in versions.NAMES]
)


@pytest.mark.parametrize(("name", "body"), bodies.WRONG, ids=[name for name, _ in bodies.WRONG])
def test_wrong_bodies_are_wrong_for_rows_and_batches(name: str, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        LEVELS.single(body)
    with pytest.raises(InvalidInput):
        LEVELS.batch(body, bodies.MAX_ROWS)
    assert len(body) <= bodies.MAX_BYTES, name


def test_bodies_to_be_answered_can_be_decoded() -> None:
    taken = set()
    for seed in range(200):
        path, body = bodies.predict(random.Random(seed))
        assert len(body) <= bodies.MAX_BYTES
        if path == bodies.PREDICT.encode():
            LEVELS.single(body)
        elif path == bodies.BATCH.encode():
            rows = LEVELS.batch(body, bodies.MAX_ROWS)
            assert not [row for row in rows if isinstance(row, InvalidInput)]
        else:
            assert json.loads(body)["features"]["town"] is not None
        taken.add(path)
    assert len(taken) == 3


def test_valid_requests_are_of_every_route() -> None:
    paths = set()
    for seed in range(500):
        path, body = bodies.valid(random.Random(seed))
        msgspec.json.decode(body)
        assert read(requests.build(b"POST", path, body)).body == body
        paths.add(path)
    assert len(paths) == 12
