"""The archive of a real installation, on both databases: what is kept, for whom, and by whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.delivery.conftest import World, world
from tests.delivery.folding.test_replay import Gateways, deployed, drive, start

from serinus import clock
from serinus.app import archiving as module
from serinus.app.archiving import Archiving
from serinus.delivery.folding.replay import Replays
from serinus.errors import Conflict, Unavailable
from serinus.ledger.archive.catalog import WORK
from serinus.ledger.archive.reader import open_archived
from serinus.ledger.archive.retention import Decision
from serinus.ledger.consumer import load_offsets, save_offsets
from serinus.ledger.files.writer import Writer
from serinus.ledger.types import Offset
from serinus.monitoring.monitor import NAME as MONITORING
from serinus.settings import Settings
from serinus.store.engine import open_engine
from serinus.store.leading import leading
from serinus.wire import WorkerStatus

__all__ = ["deployed", "world"]

# So young that everything is older.
_AT_ONCE = 1e-9


@pytest.fixture
def archiving(world: World, tmp_path: Path) -> Archiving:
    return Archiving(
        Settings(home=tmp_path, ledger_retention_days=_AT_ONCE), world.engine, world.registry
    )


def caught_up(world: World, *, but: int = 0) -> None:
    """The monitor has read what the controller has, less some records' worth of bytes."""
    with world.engine.begin() as connection:
        read = load_offsets(connection, "delivery")
        less = {name: Offset(at.segment, max(at.offset - but, 0)) for name, at in read.items()}
        save_offsets(connection, MONITORING, less)


def going(decisions: list[Decision]) -> int:
    return sum(decision.goes for decision in decisions)


def test_step_archives_with_the_names_that_the_registry_knows(
    deployed: World, archiving: Archiving
) -> None:
    start(deployed)
    gateways = Gateways(deployed)
    gateways.send(100)
    for writer in gateways.writers:
        writer.close()
    assert archiving.step()
    assert not archiving.step()
    with archiving.ledger.query(
        "SELECT count(*), sum((features->>'amount')::DOUBLE), sum((features->>'age')::DOUBLE) "
        "FROM predictions"
    ) as answer:
        ((count, amounts, ages),) = answer.rows()
    assert count > 90
    assert (amounts, ages) == (count, 2 * count)
    assert archiving.names("fraud", "9.9.9") is None


def test_replay_is_exact_after_retention_took_the_ledger(
    deployed: World, archiving: Archiving, tmp_path: Path
) -> None:
    deployment = start(deployed, shadow=False)
    gateways = Gateways(deployed)
    drive(deployed, deployment, gateways, passes=8, failing=0.3, wrong=0.3)
    ended = deployed.delivery.get(deployment.id)
    if ended.live:
        deployed.delivery.abort(ended.id, actor="test", reason="enough")
    for writer in (*gateways.writers, deployed.writer):
        writer.close()
    while deployed.controller.run_once():
        pass
    caught_up(deployed)
    before = archiving.status()
    assert before.segments > 3
    assert archiving.step()
    after = archiving.status()
    assert after.segments == 0
    assert after.archived_segments == before.segments
    reader = open_archived(tmp_path / "ledger", tmp_path / "archive")
    found = Replays(deployed.engine, reader).replay(ended.id)
    assert found.exact, found.mismatches
    assert found.looks > 0


def test_segments_wait_for_every_consumer_and_every_live_deployment(
    deployed: World, archiving: Archiving
) -> None:
    deployment = start(deployed)
    gateways = Gateways(deployed)
    gateways.send(200)
    for writer in gateways.writers:
        writer.close()
    archiving.compact()
    assert {decision.reason for decision in archiving.decide() if decision.name[-3:] == "000"} == {
        "a live deployment began before its end",
        "it is still written",
    }
    deployed.delivery.abort(deployment.id, actor="test", reason="enough")
    assert going(archiving.decide()) == 0
    assert "delivery, monitoring" in " ".join(item.reason for item in archiving.decide())
    while deployed.controller.run_once():
        pass
    caught_up(deployed, but=1)
    assert going(archiving.decide()) == 0
    caught_up(deployed)
    assert going(archiving.decide()) == 3
    assert len(archiving.retain()) == 3
    assert archiving.retain() == []


def test_what_cannot_be_archived_keeps_nothing_that_may_go(
    deployed: World, archiving: Archiving, tmp_path: Path
) -> None:
    told = WorkerStatus(clock.epoch_us(), "w", 1, (), {})
    deployed.writer.append([told])
    deployed.writer.close()
    assert len(archiving.compact()) == 1
    while deployed.controller.run_once():
        pass
    caught_up(deployed)
    other = Writer(deployed.ledger, segment_bytes=1_000_000, sync="os")
    other.append([told])
    other.close()
    place = tmp_path / "archive" / WORK
    place.rmdir()
    place.write_text("no folder")
    with pytest.raises(Unavailable, match="the archive cannot be written"):
        archiving.step()
    assert archiving.status().segments == 1
    place.unlink()
    assert archiving.step()
    assert archiving.status().archived_segments == 2


def test_default_keeps_the_archive_and_young_segments(
    deployed: World, archiving: Archiving, tmp_path: Path
) -> None:
    rules = Archiving(Settings(home=tmp_path), deployed.engine, deployed.registry).rules()
    assert (rules.ledger_days, rules.archive_days, rules.needed_us) == (30, 0, None)
    deployment = start(deployed)
    assert archiving.rules().needed_us == clock.to_epoch_us(deployment.created_at)


def test_one_process_archives_at_a_time(
    deployed: World, archiving: Archiving, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.1)
    deployed.writer.close()
    other = open_engine(database_url)
    with leading(other, module._LOCK) as leads:
        assert leads
        assert not archiving.step()
        with pytest.raises(Conflict, match="another process"):
            archiving.compact()
    assert len(archiving.compact()) == 1
    other.dispose()
