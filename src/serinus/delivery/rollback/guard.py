"""Looks after champions that no deployment watches any more, and proposes to take them back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import structlog
from sqlalchemy import Connection

from serinus import clock
from serinus.delivery.leases import Deposed, Guard, unguarded
from serinus.delivery.records import deployments
from serinus.delivery.rollback import bands, repository, vitals
from serinus.delivery.rollback.alarms import KEPT, Alarm, Sentry
from serinus.delivery.rollback.counts import BUCKET_SECONDS
from serinus.delivery.rollback.handover import Moves
from serinus.delivery.rollback.service import Rollbacks
from serinus.errors import NotFound, SerinusError
from serinus.registry import repository as versions
from serinus.store.engine import reading

Mode = Literal["off", "propose", "act"]

ACTOR = "guard"
_LOOK_SECONDS = 10.0
# A range is what was before the last ten minutes, and taken anew so often.
_RANGE_SECONDS = 1_800
_RECENT_SECONDS = KEPT * BUCKET_SECONDS
# Late labels may still change a stretch of so long ago.
_CHANGING_SECONDS = 60
# After an alarm nothing more is said of the champion for so long: a person has been asked.
_REST_SECONDS = 3_600.0

_log = structlog.get_logger(__name__)


class ChampionGuard:
    """Asks of every champion, time and again, whether it is what it was.

    Args:
        delivery: what moves deployments.
        rollbacks: what takes models back.
        mode: ``propose`` writes a rollback down for a person, ``act`` carries it out.
    """

    def __init__(self, delivery: Moves, rollbacks: Rollbacks, mode: Mode = "propose") -> None:
        self._delivery = delivery
        self._rollbacks = rollbacks
        self._mode = mode
        self._sentries: dict[str, Sentry] = {}
        self._rests: dict[str, float] = {}
        self._next_look = 0.0

    def step(self, now: datetime, guard: Guard = unguarded) -> None:
        """Look at what champions have shown of late, every ten seconds."""
        if self._mode == "off" or clock.monotonic() < self._next_look:
            return
        self._next_look = clock.monotonic() + _LOOK_SECONDS
        present = int(now.timestamp())
        with reading(self._delivery.engine) as connection:
            champions = versions.champions(connection)
            busy = deployments.live_models(connection)
            busy |= {item.model for item in repository.open_ones(connection)}
            alarms = self._alarms(connection, champions, busy, present)
        for model, alarm in alarms.items():
            try:
                self._raise(model, alarm, guard)
            except Deposed:
                raise
            except NotFound as nowhere:
                _log.warning("a champion is harmed", model=model, why=alarm.sentence, but=nowhere)
            except SerinusError as error:
                # Somebody may have been faster, or the store is busy: asked again at the next look.
                _log.warning("no rollback could be made", model=model, why=str(error))
                continue
            self._rests[model] = clock.monotonic() + _REST_SECONDS

    def _alarms(
        self,
        connection: Connection,
        champions: Mapping[str, tuple[str, str]],
        busy: set[str],
        present: int,
    ) -> dict[str, Alarm]:
        for gone in self._sentries.keys() - (champions.keys() - busy):
            # Whoever was in a deployment or has come back begins a new range.
            del self._sentries[gone]
        changed = vitals.since(connection, present - _CHANGING_SECONDS)
        found = {}
        for model, stretches in changed.items():
            if model not in champions or model in busy:
                continue
            if clock.monotonic() < self._rests.get(model, 0.0):
                continue
            sentry = self._sentry(connection, model, champions[model][0], present)
            for item in stretches:
                if item.version == sentry.version:
                    sentry.see(item.start, item.counts)
            alarm = sentry.alarm()
            if alarm is not None:
                found[model] = alarm
        return found

    def _sentry(self, connection: Connection, model: str, version: str, present: int) -> Sentry:
        """What is known of a champion; its range is taken anew now and then."""
        known = self._sentries.get(model)
        fresh = known is not None and known.version == version
        if known is not None and fresh and present - known.ranged_at < _RANGE_SECONDS:
            return known
        until = clock.from_epoch_us((present - _RECENT_SECONDS) * 1_000_000)
        before = vitals.stretches(
            connection, model, until - timedelta(seconds=vitals.KEPT_SECONDS), until
        )
        criteria = repository.criteria(connection, self._delivery.types, model)
        own = [item.counts for item in before if item.version == version]
        made = Sentry(version, bands.bands(own, criteria) if own else (), present)
        recent = vitals.since(connection, present - _RECENT_SECONDS).get(model, [])
        for item in recent:
            if item.version == version:
                made.see(item.start, item.counts)
        self._sentries[model] = made
        return made

    def _raise(self, model: str, alarm: Alarm, guard: Guard) -> None:
        made = self._rollbacks.roll_back(
            model,
            None,
            actor=ACTOR,
            reason=alarm.sentence,
            cause=alarm.cause,
            sound_until=clock.from_epoch_us(alarm.since * 1_000_000),
            only_proposed=self._mode == "propose",
            guard=guard,
        )
        _log.warning(
            "a champion is harmed",
            model=model,
            rollback=made.id,
            state=made.state,
            why=alarm.sentence,
        )
