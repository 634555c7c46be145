"""Parts of long lists: nothing is lost, and none is too long."""

from __future__ import annotations

import pytest

from serinus.store.chunks import CHUNK, chunks


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_chunks_are_all_of_it_in_order(length: int) -> None:
    parts = list(chunks(iter(range(length))))
    assert [item for part in parts for item in part] == list(range(length))
    assert all(0 < len(part) <= CHUNK for part in parts)
