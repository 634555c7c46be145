"""The script is the same each time, and goes by the gateway's own routing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from serinus.chaos.script import CHALLENGER, CHAMPION, MODEL, Behaviour, Scribe, Script
from serinus.ledger.opening import open_reader
from serinus.wire import Arm, Label, Prediction, Route, RoutingTable, Shadow, Target, WorkerStatus

OLD, NEW = Target(CHAMPION, "/0"), Target(CHALLENGER, "/1")


def written(home: Path, script: Script, route: Route) -> list[object]:
    home.mkdir()
    table = RoutingTable(7, {MODEL: route})
    (home / "routing.json").write_bytes(msgspec.json.encode(table))
    scribe = Scribe([script], home)
    scribe.write(10_000_000_000, 10_000_000_000)
    scribe.close()
    reader = open_reader(home / "ledger")
    return [event for _, event in reader.scan()]


def test_two_runs_write_the_same(tmp_path: Path) -> None:
    script = Script("x", {}, requests=50, seed=4)
    route = Route(MODEL, OLD, NEW, share=0.5, salt="s", deployment="d")
    first, second = (written(tmp_path / name, script, route) for name in "ab")
    asked = [[item for item in run if isinstance(item, Prediction)] for run in (first, second)]
    assert asked[0] == asked[1]
    assert {item.assignment.arm for item in asked[0]} == {Arm.CHAMPION, Arm.CHALLENGER}
    assert sum(isinstance(item, Label) for item in first) == 50
    assert isinstance(first[0], WorkerStatus)


def test_a_bad_challenger_fails_and_the_champion_answers(tmp_path: Path) -> None:
    script = Script("x", {}, requests=100, bad=Behaviour(failing=1.0), bad_from=0.5)
    route = Route(MODEL, OLD, NEW, share=0.5, salt="s", deployment="d")
    asked = [
        item for item in written(tmp_path / "a", script, route) if isinstance(item, Prediction)
    ]
    failed = [item for item in asked if item.assignment.arm is Arm.CHALLENGER]
    assert failed
    assert all(item.fallback and item.version == CHAMPION for item in failed)


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_mirrored_requests_have_shadows(tmp_path: Path, mirror: float) -> None:
    route = Route(MODEL, OLD, NEW, mirror=mirror, deployment="d")
    found = written(tmp_path / "a", Script("x", {}, requests=20), route)
    assert sum(isinstance(item, Shadow) for item in found) == 20 * mirror
