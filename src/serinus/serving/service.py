"""One worker's service: everything that answers, put together and kept up to date.

``Service`` knows nothing of HTTP: it is given decoded requests and gives rows back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from serinus import clock
from serinus.errors import (
    InvalidInput,
    Overloaded,
    SerinusError,
)
from serinus.ledger.archive.reader import open_archived
from serinus.ledger.types import Writer
from serinus.serving.asking.assigning import Demand, assigned
from serinus.serving.asking.batching import Batcher
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.rows import Row, arrival
from serinus.serving.asking.tickets import Done, Tickets
from serinus.serving.loading.beside import Beside
from serinus.serving.loading.loader import Loader
from serinus.serving.loading.snapshot import Snapshot
from serinus.serving.loading.table import RoutingFile
from serinus.serving.protocols.decode import FeedbackItem, Request
from serinus.serving.runtimes.types import ProcessLimits, Runtime
from serinus.serving.telling.board import Board
from serinus.serving.telling.counters import Counters, Counts, total
from serinus.serving.telling.feedback import Feedback, Intake
from serinus.serving.telling.mirror import Mirror
from serinus.serving.telling.recorder import Recorder
from serinus.serving.types import GatewayOptions
from serinus.wire import Manifest, RoutingTable, WorkerStatus

BUSY_SECONDS = 0.5
"""Over how long it is measured how busy a worker is."""
SHOWN_SECONDS = 0.05
"""How old the counts are that other workers see of this one."""
SPARE_SECONDS = 0.5
"""What a request may wait beyond its time-out, so that the models' own time-outs come first."""

_log = logging.getLogger("serinus.serving")


class Service:
    """Everything of one worker but HTTP.

    Args:
        options: of the gateway.
        writer: this worker's part of the ledger.
        loop: the event loop that everything runs in.
        board: where the workers show their counts.
        slot: this worker's place there.
    """

    def __init__(
        self,
        options: GatewayOptions,
        writer: Writer,
        loop: asyncio.AbstractEventLoop,
        *,
        board: Board,
        slot: int,
    ) -> None:
        self._options = options
        self._writer = writer
        self._loop = loop
        self._board = board
        self._slot = slot
        self.snapshot = Snapshot()
        self.table_error: SerinusError | None = None
        self.counters = Counters()
        self.recorder = Recorder(
            writer,
            self.counters,
            loop,
            answers_unrecorded=options.ledger_full == "answer",
        )
        self._batcher = Batcher(loop, self._record, options.waiting_max_rows)
        # A champion must have time left for what its challenger did not answer.
        self._limits = ProcessLimits(
            call_seconds=options.request_timeout_seconds / 2,
            memory_bytes=options.process_memory_bytes,
            environments=options.environments,
        )
        self._loader = Loader(
            loop, self._make_lane, self._swap, options.model_memory_bytes, self._limits
        )
        self._beside = Beside(
            loop,
            self._limits,
            options.model_memory_bytes,
            lambda: self._loader.size,
            self._freed,
        )
        self._mirror = Mirror(
            options.mirror_rows, self.counters, self.recorder.write, self._beside.clone
        )
        self._table = RoutingTable(0, {})
        self._file = RoutingFile(options.routing_table)
        feedback = Feedback(open_archived(options.ledger, options.archive), self._find_manifest)
        self._intake = Intake(feedback, self.recorder.write, self.counters, loop)
        self.tickets = Tickets(options.request_timeout_seconds + SPARE_SECONDS)
        self._retry_at = 0.0
        self._has_tripped = False

    # -------------------------------------------------------------- predictions

    def predict(
        self,
        live: LiveRoute,
        request: Request,
        demand: Demand | None,
        done: Done,
        *,
        seconds: float | None = None,
    ) -> Row:
        """Send one row on its way; ``done`` is called later, when it is answered and recorded.

        Args:
            live: the route of the model that is asked.
            request: the row.
            demand: who shall answer; None leaves that to the route.
            done: told of it, or of why the request ends without.
            seconds: how long the client waits; the gateway's own limit is the longest.

        Raises:
            Conflict: who is demanded is not being served.
            Overloaded: too many rows wait already.
        """
        self._admit(live, 1, seconds)
        assignment = assigned(live, request.entity, demand, seconds)
        row = Row(live, assignment, request.features, self.tickets.issue(1, done, seconds))
        self._batcher.submit(row)
        return row

    def predict_many(
        self,
        rows: Sequence[tuple[LiveRoute, Request]],
        demand: Demand | None,
        done: Done,
        *,
        seconds: float | None = None,
    ) -> list[Row]:
        """The same for several rows, each for itself; ``done`` is called once for all of them.

        Raises:
            Conflict: who is demanded is not being served.
            Overloaded: too many rows wait already.
        """
        for live in {id(live): live for live, _ in rows}.values():
            self._admit(live, len(rows), seconds)
        chosen = [assigned(live, request.entity, demand, seconds) for live, request in rows]
        ticket = self.tickets.issue(len(rows), done, seconds)
        came = arrival()
        made = [
            Row(live, assignment, request.features, ticket, came)
            for (live, request), assignment in zip(rows, chosen, strict=True)
        ]
        self._batcher.submit_many(made)
        return made

    async def wake(self, model: str, seconds: float | None = None) -> None:
        """Load a model again that was unloaded; returns when that, or the time, is over."""
        limit = self._options.request_timeout_seconds
        patience = limit if seconds is None else min(limit, seconds)
        await self._loader.wake(self._table, model, patience)
        if model in self.snapshot.asleep:
            # It still loads: who asked has waited long enough and is told so.
            self._swap()

    def _admit(self, live: LiveRoute, rows: int, seconds: float | None) -> None:
        if self.recorder.waiting_rows > self._options.waiting_max_rows:
            raise Overloaded(
                f"{self.recorder.waiting_rows} rows wait for the ledger",
                where=live.route.model,
                remedy="Send again later; if it stays so, the ledger is too slow for the load.",
            )
        longest = self.tickets.longest
        self._batcher.admit(live, rows, longest if seconds is None else min(seconds, longest))

    def _record(self, rows: list[Row]) -> None:
        self.recorder.record(rows, self._recorded)
        self.counters.unusual.note(rows)

    def _recorded(self, rows: list[Row]) -> None:
        if self._mirror.take(rows):
            # The answers leave before the shadow runs.
            self._loop.call_soon(self._mirror.feed)

    # -------------------------------------------------------------- feedback

    async def feedback(
        self, items: Sequence[FeedbackItem | InvalidInput]
    ) -> list[SerinusError | None]:
        """Write the events of labels and values; for each item that could not be taken, why.

        Raises:
            Unavailable: too many wait already.
        """
        return await self._intake.take(items)

    def _find_manifest(self, model: str, version: str) -> Manifest | None:
        lane = self._loader.find(model, version)
        return None if lane is None else lane.runtime.manifest

    # -------------------------------------------------------------- routing table

    async def follow(self) -> None:
        """Apply the routing table whenever it changes, and report regularly; runs for ever."""
        next_report = clock.monotonic() + self._options.worker_status_seconds
        looked_at, used = clock.monotonic(), time.process_time()
        shown_at = 0.0
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            if (now := clock.monotonic()) - looked_at >= BUSY_SECONDS:
                self.counters.busy = (time.process_time() - used) / (now - looked_at)
                looked_at, used = now, time.process_time()
                self._unload()
            retry = bool(self.snapshot.failed) and clock.monotonic() >= self._retry_at
            if self._file.has_changed() or retry:
                self._apply()
            elif 0 < self.snapshot.lasts_until <= clock.epoch_us():
                self._swap()
            if now - shown_at >= SHOWN_SECONDS:
                shown_at = now
                self._board.write(self._slot, self.counters.counts())
            if clock.monotonic() >= next_report:
                next_report = clock.monotonic() + self._options.worker_status_seconds
                self._report()

    async def reload(self) -> Snapshot:
        """Read the routing table now and put it in force; what is in force once all is loaded."""
        self._apply()
        await self._loader.loaded()
        return self.snapshot

    def _apply(self) -> None:
        """Put the file's table in force with what is loaded; the rest follows by and by."""
        table = self._read()
        if table is None:
            return
        self._table = table
        self._retry_at = clock.monotonic() + self._options.retry_load_seconds
        self._loader.fetch(table)
        self._swap()
        _log.info("routing table %d is in force", table.revision)

    def _swap(self) -> None:
        self.snapshot = self._loader.snapshot(self._table, self.snapshot)
        self._report()

    def _unload(self) -> None:
        """Let go of versions that nobody asked for of late, if they take too much memory."""
        self._beside.sweep(self._table)
        if self._loader.is_over_budget:
            before, self.snapshot = self.snapshot, self._loader.snapshot(self._table, self.snapshot)
            if before.asleep != self.snapshot.asleep:
                self._report()

    def _read(self) -> RoutingTable | None:
        try:
            table = self._file.read()
        except SerinusError as error:
            self.table_error = error
            _log.error("%s", error)
            return None
        self.table_error = None
        return table

    def _make_lane(self, version: str, runtime: Runtime) -> Lane:
        return Lane(
            version,
            runtime,
            self._loop,
            timeout_seconds=self._limits.call_seconds,
            freed=self._freed,
            remembered_rows=self._options.remembered_rows,
            tripped=self._tripped,
        )

    # -------------------------------------------------------------- beside production

    async def find_staging(self, model: str | None, seconds: float | None = None) -> LiveRoute:
        """The version in Staging of a model; of the only one, if none is named.

        Raises:
            NotFound: there is none.
            InvalidInput: no model is named and there are several.
            Unavailable: it cannot be loaded, or not in time.
        """
        limit = self._options.request_timeout_seconds
        return await self._beside.staging.find(self._table, model, min(limit, seconds or limit))

    def told_of_staging(self) -> list[dict[str, object]]:
        """What is in Staging, of each model."""
        return self._beside.staging.told(self._table)

    def _tripped(self) -> None:
        """Report that a circuit has changed, once for all that change in this turn."""
        if not self._has_tripped:
            self._has_tripped = True
            self._loop.call_soon(self._report)

    def _freed(self) -> None:
        self._batcher.wake()
        # Rows that a client waits for come first.
        self._loop.call_soon(self._mirror.feed)

    def _report(self) -> None:
        self._has_tripped = False
        snapshot = self.snapshot
        status = WorkerStatus(
            at=clock.epoch_us(),
            worker=self._writer.name,
            revision=snapshot.revision,
            ready=snapshot.ready,
            failed=dict(snapshot.failed),
            circuits=snapshot.circuits,
        )
        # Also what finds out that a ledger which refused writes takes them again.
        self.recorder.write([status], lambda _: None)

    # -------------------------------------------------------------- state

    @property
    def is_ready(self) -> bool:
        """Whether predictions are being answered."""
        refuses = self.recorder.error is not None and self._options.ledger_full == "refuse"
        return bool(self.snapshot.serves or self.snapshot.asleep) and not refuses

    @property
    def worker(self) -> str:
        """The name of this worker: its writer's."""
        return self._writer.name

    @property
    def waiting(self) -> int:
        """How many rows wait for a model."""
        return self._batcher.waiting

    @property
    def shadows_waiting(self) -> int:
        """How many rows wait for their shadow."""
        return self._mirror.waiting

    def counts(self) -> Counts:
        """What all workers of this gateway counted."""
        return total([self.counters.counts(), *self._board.others(self._slot)])

    async def drain(self, seconds: float) -> None:
        """Let the shadow finish what it has, for so long at most, and show the last counts."""
        deadline = clock.monotonic() + seconds
        while (self._mirror.waiting or self.recorder.waiting) and clock.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self._board.write(self._slot, self.counters.counts())
