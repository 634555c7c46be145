"""The ledger's archive of one installation: compaction, retention, queries and their status."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine, func, select

from serinus import clock
from serinus.deferred import Deferred
from serinus.delivery.folding import consumer as delivery
from serinus.errors import Conflict, NotFound
from serinus.ledger.archive.apart import CompactionApart
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.retention import Consumers, Decision, Retention, Rules
from serinus.ledger.archive.sources import open_segments
from serinus.ledger.archive.status import Status, status_of
from serinus.ledger.archive.types import Entry
from serinus.ledger.consumer import load_offsets
from serinus.monitoring import monitor as monitoring
from serinus.registry.service import Registry
from serinus.settings import Settings
from serinus.store import schema
from serinus.store.engine import reading
from serinus.store.leading import leading

if TYPE_CHECKING:
    from serinus.ledger.archive import compaction, query
else:
    # Parquet and SQL are for whoever asks: what only keeps the loop going needs neither.
    compaction = Deferred("serinus.ledger.archive.compaction")
    query = Deferred("serinus.ledger.archive.query")

T = TypeVar("T")

_LOCK = 5378
_FIRST_LIVE = select(func.min(schema.deployments.c.created_at)).where(
    schema.deployments.c.live_model.is_not(None)
)
# Both read the whole ledger, though one that has just been installed has saved no offset yet.
_CONSUMERS = (delivery.NAME, monitoring.NAME)
# A pass of the loop begins no further segment after so long, lest it keep the process from ending.
_PASS_SECONDS = 10.0
_WAIT_SECONDS = 60.0


class Archiving:
    """What is done with the ledger beside reading it.

    Args:
        settings: of the installation.
        engine: its database.
        registry: that knows the names of inputs.
    """

    def __init__(self, settings: Settings, engine: Engine, registry: Registry) -> None:
        self._settings = settings
        self._engine = engine
        self._registry = registry
        self._segments = open_segments(settings.ledger)
        self._catalog = Catalog(settings.archive)
        self._apart = CompactionApart(settings.ledger, self._catalog, self.names)
        self._retention = Retention(self._segments, self._catalog, self.rules, self.consumers)

    @property
    def ledger(self) -> query.Ledger:
        """What queries are asked of."""
        return query.Ledger(self._segments, self._catalog, self.names)

    def step(self) -> bool:
        """One pass of the background loop: archive some, remove what may go; whether there was any.

        What there is to archive, a process of its own archives. Nothing happens while another one
        is at it. What cannot be archived keeps nothing that may go: on a full disk, only what goes
        makes room for it.

        Raises:
            SerinusError: as of :meth:`compact` and :meth:`retain`.
        """
        with leading(self._engine, _LOCK) as leads:
            if not leads:
                return False
            try:
                done = self._apart.run(_PASS_SECONDS)
            finally:
                gone = self._retention.run()
        return bool(done or gone)

    def compact(self) -> list[Entry]:
        """Archive every finished segment, in this process.

        Raises:
            Unavailable: the ledger cannot be reached, or the archive cannot be written.
            Conflict: another process is at it, and has not ended for a minute.
        """
        made = compaction.Compaction(self._segments, self._catalog, self.names)
        return self._alone(made.run)

    def retain(self) -> list[Decision]:
        """Remove what may go; what was removed.

        Raises:
            Unavailable: the ledger cannot be reached, or something cannot be removed.
            Conflict: another process is at it, and has not ended for a minute.
        """
        return self._alone(self._retention.run)

    def decide(self) -> list[Decision]:
        """What :meth:`retain` would do, of everything that there is; nothing is changed.

        Raises:
            Unavailable: the ledger cannot be reached.
        """
        return self._retention.decide()

    def status(self) -> Status:
        """How the ledger and its archive are.

        Raises:
            Unavailable: the ledger cannot be reached.
        """
        return status_of(self._segments.listed(), self._catalog.entries(), self.consumers())

    def names(self, model: str, version: str) -> tuple[str, ...] | None:
        """The names of a version's inputs; None if the registry does not know it."""
        try:
            manifest = self._registry.get(model, version).manifest
        except NotFound:
            return None
        return tuple(item.name for item in manifest.inputs)

    def rules(self) -> Rules:
        """How long to keep, at this moment: what live deployments were told is kept for them."""
        with reading(self._engine) as connection:
            first = connection.scalar(_FIRST_LIVE)
        return Rules(
            ledger_days=self._settings.ledger_retention_days,
            archive_days=self._settings.archive_retention_days,
            needed_us=None if first is None else clock.to_epoch_us(first),
        )

    def consumers(self) -> Consumers:
        """How far everybody who keeps offsets has read."""
        column = schema.ledger_offsets.c.consumer
        with reading(self._engine) as connection:
            known = connection.execute(select(column).distinct()).scalars()
            names = sorted({*_CONSUMERS, *known})
            return {name: load_offsets(connection, name) for name in names}

    def _alone(self, work: Callable[[], T]) -> T:
        deadline = clock.monotonic() + _WAIT_SECONDS
        while True:
            with leading(self._engine, _LOCK) as leads:
                if leads:
                    return work()
            if clock.monotonic() > deadline:
                raise Conflict(
                    "another process archives the ledger",
                    remedy="It does so by itself; ask again once it has ended.",
                )
            clock.sleep(0.05)
