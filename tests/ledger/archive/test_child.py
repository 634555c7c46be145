"""The process that archives ends with its owner, and asks for each version's names once."""

from __future__ import annotations

import subprocess
import sys

import msgspec
from tests.ledger.archive.conftest import Kept, prediction

from serinus.ledger.archive.apart import Asked, Done, Task
from serinus.ledger.archive.child import Owner

_DEADLINE = 30.0


def started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", Owner.__module__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )


def task(kept: Kept) -> bytes:
    asked = Task(str(kept.folder / "ledger"), True, str(kept.catalog.folder), 60.0)
    return msgspec.json.encode(asked) + b"\n"


def test_without_an_owner_it_ends_wherever_it_is(kept: Kept) -> None:
    kept.write([prediction(1)])
    with started() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(task(kept))
        question = msgspec.json.decode(process.stdout.readline(), type=Asked)
        assert question == Asked("fraud", "1.0.0")
        # No answer comes any more.
        process.stdin.close()
        assert process.wait(_DEADLINE) == 1
    assert len(kept.catalog.pending(kept.segments.listed())) == 1


def test_what_it_writes_has_the_names_that_it_was_told(kept: Kept) -> None:
    kept.write([prediction(number) for number in range(3)])
    with started() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(task(kept) + b'["a","b","c"]\n')
        told = process.stdout.read().splitlines()
        assert process.wait(_DEADLINE) == 0
    assert msgspec.json.decode(told[0], type=Asked) == Asked("fraud", "1.0.0")
    assert [msgspec.json.decode(line, type=Done) for line in told[1:]] == [Done(1)]
    found = kept.ask("SELECT features->>'b' FROM predictions ORDER BY 1")
    assert found == [("0.0",), ("0.125",), ("0.25",)]
