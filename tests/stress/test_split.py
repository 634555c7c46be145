"""The proof of the split in small; and that it would see what it looks for."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from serinus.stress import split
from serinus.stress.answers import Answer
from serinus.stress.split import Asker, Pass
from serinus.stress.types import Finding

KEYS = 1_000


def passes(**changes: tuple[int, int, int]) -> list[Pass]:
    """Four passes that hold what is claimed, but for one key of one of them: pass, key, place."""
    base = np.full(KEYS, -1, np.int8)
    base[:50], base[100:120] = 0, 1
    risen = base.copy()
    risen[50:100], risen[120:150] = 0, 1
    dropped = np.where(risen == 1, -1, risen).astype(np.int8)
    found = [base, base.copy(), risen, dropped]
    for number, key, place in changes.values():
        found[number][key] = place
    return [Pass(places, np.full(KEYS, number, np.int16)) for number, places in enumerate(found)]


def judged(found: list[Pass]) -> Finding:
    offs = [split._off(found[0].places, split.FIRST), split._off(found[2].places, split.RISEN)]
    bars = split._bars(Asker(KEYS, 2), found, offs)
    return Finding("split", "", bars, 0, 0.0)


def test_split_in_small_holds() -> None:
    found = split.run(keys=2_000, workers=2, restarts=1)
    assert found.passed, found
    assert found.figure("rows asked for") == 8_000
    assert found.figure(split.CROSSED) >= 1_000
    assert not found.faults


def test_split_holds_where_nothing_is_wrong() -> None:
    assert judged(passes()).passed


@pytest.mark.parametrize(
    ("number", "key", "place", "bar"),
    [
        (1, 500, 0, split.REASSIGNED),
        (2, 10, -1, split.MOVED_OUT),
        (2, 10, 1, split.MOVED_OUT),
        (3, 500, 0, split.MOVED_BESIDE),
        (3, 110, 0, split.MOVED_BESIDE),
    ],
    ids=["restart", "out", "over", "beside", "to_another"],
)
def test_split_sees_a_key_that_moves(number: int, key: int, place: int, bar: str) -> None:
    found = judged(passes(one=(number, key, place)))
    failing = {item.name for item in found.bars if not item.passed}
    assert bar in failing


def test_split_sees_a_share_that_is_off() -> None:
    found = passes()
    for one in found:
        one.places[500:600] = 0
    # Of so few keys, a share may be 3.2 points off: these are ten.
    assert judged(found).figure(split.FARTHEST) == pytest.approx(10.0)
    assert not judged(found).passed


def test_split_sees_that_only_one_worker_ever_answered_a_key() -> None:
    found = passes()
    for one in found:
        one.workers[:] = 0
    assert not judged(found).passed


def test_split_counts_rows_without_an_answer_and_asks_again_under_an_older_revision() -> None:
    asker, found = Asker(2, 1), Pass(np.full(2, -2, np.int8), np.full(2, -1, np.int16))

    def answer(revision: int) -> Answer:
        rows = [
            {"prediction_id": "a" * 32, "version": "1.1.0", "revision": revision},
            {"error": {"detail": "no"}},
        ]
        return Answer(200, {}, msgspec.json.encode({"predictions": rows}))

    assert not asker._take(answer(1), 0, 2, found)
    assert asker._take(answer(2), 0, 2, found)
    assert (asker.refused, found.places.tolist()) == (1, [0, -2])
    assert asker._take(Answer(503, {}, b""), 0, 2, found)
    assert asker.refused == 3


def test_keys_are_all_different() -> None:
    assert len({split.key(number) for number in range(10_000)}) == 10_000
