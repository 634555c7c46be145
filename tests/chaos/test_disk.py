"""A small disk, filled to the last byte."""

from __future__ import annotations

import os

import pytest

from serinus.chaos import disk
from serinus.errors import Unavailable


def test_a_small_disk_can_be_full_and_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_BYTES", 1_000_000)
    if os.geteuid() != 0:
        with pytest.raises(Unavailable, match="small disk"), disk._small_disk():
            pass
        return
    with disk._small_disk() as folder:
        disk._fill(folder / "ballast")
        with pytest.raises(OSError, match="No space"):
            (folder / "more").write_bytes(b"x")
        (folder / "ballast").unlink()
        (folder / "more").write_bytes(b"x")
    assert not folder.exists()
