from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from serinus.stress.mutations import mutate, pieces

DATA = b"POST /predict HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}"


@given(st.integers(0, 2**32), st.binary(max_size=200))
def test_mutations_follow_from_their_seed(seed: int, data: bytes) -> None:
    assert mutate(random.Random(seed), data) == mutate(random.Random(seed), data)


def test_mutations_are_many() -> None:
    made = {mutate(random.Random(seed), DATA) for seed in range(300)}
    assert len(made) > 250
    assert sum(len(data) > len(DATA) for data in made) > 50
    assert sum(len(data) < len(DATA) for data in made) > 50


@given(st.integers(0, 2**32), st.binary(max_size=200))
def test_pieces_are_the_whole(seed: int, data: bytes) -> None:
    parts = pieces(random.Random(seed), data)
    assert b"".join(parts) == data
    assert all(parts)
