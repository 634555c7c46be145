"""The proof of swaps in small; and that it would see what it looks for."""

from __future__ import annotations

import msgspec
import pytest

from serinus.stress import swap, versions
from serinus.stress.answers import Answer
from serinus.stress.load import Reply
from serinus.stress.swap import Watch
from serinus.wire import Route, Target

ROW = (1.0, 2.0, 3.0, 4.0)
OLD, NEW = Target("1.0.0", "/0"), Target("1.1.0", "/1")
WORKER = "aabbccdd"


def reply(
    version: int, revision: int, *, arm: str = "champion", worker: str = WORKER, **changes: object
) -> Reply:
    told = {
        "prediction": versions.expected(version, ROW),
        "prediction_id": worker + "0" * 24,
        "version": f"1.{version}.0",
        "arm": arm,
        "revision": revision,
        **changes,
    }
    headers = {b"x-serinus-revision": b"%d" % revision}
    return Reply(0, 0, 1.0, 1.5, Answer(200, headers, msgspec.json.encode(told)))


@pytest.fixture
def watch() -> Watch:
    made = Watch([ROW])
    made.routes = {
        1: Route("m", OLD),
        2: Route("m", OLD, NEW, share=0.5),
        3: Route("m", NEW),
    }
    made.published = {2: 1.2, 3: 1.3}
    return made


def test_watch_takes_what_the_tables_say(watch: Watch) -> None:
    for right in (
        reply(0, 1),
        reply(0, 2),
        reply(1, 2, arm="challenger"),
        reply(0, 2, arm="challenger", fallback=True),
        reply(1, 3),
    ):
        watch.take(right)
    assert (watch.misnamed, watch.refused, watch.backwards) == (0, 0, 0)
    assert watch.everywhere(3)
    assert watch.takeover(3) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "wrong",
    [
        reply(1, 1),
        reply(0, 3),
        reply(0, 9),
        reply(1, 2),
        reply(0, 2, arm="challenger"),
        reply(1, 2, arm="challenger", fallback=True),
        reply(1, 3, prediction=versions.expected(0, ROW)),
        reply(1, 3, prediction="yes"),
    ],
)
def test_watch_sees_an_answer_of_another_version(watch: Watch, wrong: Reply) -> None:
    watch.take(wrong)
    assert watch.misnamed == 1
    assert watch.faults


def test_watch_sees_refusals_and_revisions_that_go_back(watch: Watch) -> None:
    watch.take(Reply(0, 0, 1.0, 1.1, Answer(503, {}, b"{}")))
    watch.take(reply(1, 3))
    watch.take(reply(0, 2))
    watch.take(reply(0, 2, worker="00000001"))
    assert (watch.refused, watch.backwards, watch.misnamed) == (1, 1, 0)
    assert not watch.everywhere(3)
    assert not watch.met(1) or len(watch.by_worker) == 2


def test_versions_change_places_and_nobody_notices() -> None:
    found = swap.run(swaps=6, rollbacks=2, rate=100)
    for name in (swap.DROPPED, swap.MISNAMED, swap.BACKWARDS, "workers that died"):
        assert found.figure(name) == 0, found.faults
    assert (found.figure(swap.SWAPPED), found.figure(swap.ROLLED_BACK)) == (6, 2)
    assert found.figure("requests") > 100
    # The bar is a quarter of a second on a machine that does nothing else.
    assert found.figure(swap.SLOWEST) < 5_000
