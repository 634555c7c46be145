"""Builds the services of one installation from its settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

from sqlalchemy import Engine, select

from serinus.app.archiving import Archiving
from serinus.app.lookout import Lookout
from serinus.app.prognosis import Prognoses
from serinus.delivery.controller import Controller
from serinus.delivery.experiments import measuring
from serinus.delivery.experiments.service import Experiments
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.folding.replay import Replays
from serinus.delivery.forecast.types import Traffic
from serinus.delivery.leases import Lease
from serinus.delivery.planning import defaults
from serinus.delivery.proposing import Planner
from serinus.delivery.rollback.guard import ChampionGuard
from serinus.delivery.rollback.progress import Progress
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.vitals import Vitals
from serinus.delivery.routing import Publisher
from serinus.delivery.service import Delivery
from serinus.delivery.shadows.report import Shadows
from serinus.delivery.tables import Tables
from serinus.errors import NotFound
from serinus.ledger.archive.reader import open_archived
from serinus.ledger.types import Reader
from serinus.monitoring.monitor import Monitor
from serinus.registry import model_types
from serinus.registry.model_types import ModelType
from serinus.registry.packaging.types import Limits
from serinus.registry.service import Registry
from serinus.registry.types import Model, ModelVersion, Stage
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.triggers import Triggers
from serinus.settings import Settings
from serinus.store import engine as store
from serinus.store import schema
from serinus.store.engine import reading

# A worker that missed this many of its regular reports is taken for dead.
_MISSED_REPORTS = 5
# A controller with nothing to do makes a pass after so many of its intervals, a second at most:
# a proof in quick steps waits less, and nobody whom a slow one was enough for waits longer.
_REST_INTERVALS, _MOST_REST_SECONDS = 10, 1.0


class App:
    """The services of one installation, each made when it is first asked for.

    Args:
        settings: where everything is; nothing below this class reads settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.wakers: list[Callable[[], None]] = []
        """Called when a person has changed something that a controller should look at."""

    # -------------------------------------------------------------- services

    @cached_property
    def engine(self) -> Engine:
        """The database, at its newest migration.

        Raises:
            Unavailable: the database cannot be reached or written.
        """
        engine = store.open_engine(self.settings.database)
        store.migrate(engine)
        return engine

    @cached_property
    def registry(self) -> Registry:
        """Model versions and their stages."""
        limits = Limits(seconds=self.settings.packaging_seconds)
        return Registry(self.engine, self.settings.tracking, self.settings.artifacts, limits)

    @cached_property
    def types(self) -> dict[str, ModelType]:
        """What each type of model is held to.

        Raises:
            InvalidInput: the file of own types cannot be used.
        """
        own = self.settings.model_types
        types = model_types.load(Path(own) if own else None)
        defaults.check(types)
        return types

    @cached_property
    def ledger(self) -> Reader:
        """Everything that the gateways told, however long ago."""
        return open_archived(self.settings.ledger, self.settings.archive)

    @cached_property
    def archiving(self) -> Archiving:
        """The ledger's archive."""
        return Archiving(self.settings, self.engine, self.registry)

    @cached_property
    def delivery(self) -> Delivery:
        """Deployments and the routing table."""
        worker_seconds = _MISSED_REPORTS * self.settings.worker_status_seconds
        planner = Planner(
            self.engine,
            self.registry,
            observe=self._traffic,
            types=self.types,
            defaults=self.experiment_defaults,
            worker_seconds=worker_seconds,
        )
        publisher = Publisher(self.settings.routing_table)
        return Delivery(
            engine=self.engine,
            worker_seconds=worker_seconds,
            registry=self.registry,
            tables=Tables(self.engine, publisher, planner.breakers),
            planner=planner,
            wake=self._wake,
        )

    @cached_property
    def lookout(self) -> Lookout:
        """The one look that serves everybody who watches."""
        return Lookout(self.engine, self.delivery.worker_seconds)

    @cached_property
    def prognoses(self) -> Prognoses:
        """How the plans that have begun will go."""
        return Prognoses(self.delivery)

    @cached_property
    def replays(self) -> Replays:
        """Past verdicts, computed again."""
        return Replays(self.engine, self.ledger)

    @cached_property
    def shadows(self) -> Shadows:
        """What two versions answered to the same requests."""
        open_ledger = partial(open_archived, self.settings.ledger, self.settings.archive)
        return Shadows(self.engine, self.registry, open_ledger)

    @cached_property
    def controller(self) -> Controller:
        """The loop that moves deployments."""
        consumer = Consumer(self.engine, self.ledger, [Vitals(), measuring.measure])
        lease = Lease(self.engine, self.settings.controller_lease_seconds)
        return Controller(
            self.delivery,
            consumer,
            lease,
            rollbacks=self._progress,
            rest_seconds=min(
                _MOST_REST_SECONDS, _REST_INTERVALS * self.settings.controller_interval_seconds
            ),
        )

    @property
    def experiment_defaults(self) -> dict[str, float]:
        """What an A/B test has that does not say it itself."""
        return {
            "min_hours": self.settings.ab_test_min_duration_hours,
            "confidence": self.settings.ab_test_confidence_level,
        }

    @cached_property
    def experiments(self) -> Experiments:
        """What A/B tests have measured, and who wins."""
        return Experiments(self.engine, self.delivery.promote)

    @cached_property
    def _progress(self) -> Progress:
        """Sees rollbacks through."""
        mode = self.settings.auto_rollback
        return Progress(self.delivery, ChampionGuard(self.delivery, self.rollbacks, mode))

    @cached_property
    def rollbacks(self) -> Rollbacks:
        """Takes models back, and finds out whether that has helped."""
        return Rollbacks(self.delivery)

    @cached_property
    def monitor(self) -> Monitor:
        """Profiles, drift and performance, folded from the ledger."""
        return Monitor(
            self.engine,
            self.ledger,
            window_seconds=self.settings.monitoring_window_seconds,
            window_rows=self.settings.monitoring_window_rows,
            false_alarm_windows=self.settings.drift_false_alarm_windows,
            failing_limit=self.settings.failing_limit,
            profile_days=self.settings.profile_days,
        )

    @cached_property
    def jobs(self) -> Jobs:
        """Background work."""
        return Jobs(self.engine, self.settings.job_lease_seconds)

    @cached_property
    def triggers(self) -> Triggers:
        """What turns an observed condition into exactly one job."""
        return Triggers(
            self.engine,
            self.jobs,
            cooldown_seconds=self.settings.retrain_cooldown_seconds,
            rows_needed=self.settings.min_training_data_points,
        )

    # -------------------------------------------------------------- across capabilities

    def _wake(self) -> None:
        for wake in self.wakers:
            wake()

    def _traffic(self, model: str, version: str) -> Traffic | None:
        """What monitoring saw of a model's traffic in the last day."""
        seen = self.monitor.observed(model, version)
        if seen is None:
            return None
        return Traffic(
            requests=seen.requests,
            seconds=seen.seconds,
            error_rate=seen.error_rate,
            p50_ms=seen.p50_ms,
            p95_ms=seen.p95_ms,
            labelled=seen.labelled,
            loss=seen.loss,
        )

    def model(self, name: str) -> Model:
        """A model by its name.

        Raises:
            NotFound: naming the models that there are.
        """
        with reading(self.engine) as connection:
            row = connection.execute(select(schema.models).where(schema.models.c.name == name))
            found = row.mappings().first()
        if found is None:
            self.registry.versions(name, 1)
            raise NotFound(f"there is no model {name!r}", where="model")
        return Model(**found)

    def promote(
        self, model: str, version: str, stage: Stage, *, actor: str, reason: str
    ) -> ModelVersion:
        """Move a version to a stage by hand: :meth:`Delivery.place`."""
        return self.delivery.place(model, version, stage, actor=actor, reason=reason)
