"""The monitor: a consumer of the ledger that keeps profiles, drift and performance."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from sqlalchemy import Connection, Engine

from serinus import clock
from serinus.ledger import consumer
from serinus.ledger.types import Batch, Offset, Reader
from serinus.monitoring import (
    advice,
    cells,
    drift,
    minutes,
    performance,
    profile,
    repository,
    rise,
    traffic,
)
from serinus.monitoring.cells import Baseline, Placed
from serinus.monitoring.drift import Calibration
from serinus.monitoring.minutes import Minute, Range
from serinus.monitoring.performance import Expected, Sums
from serinus.monitoring.profile import Extent, Window
from serinus.monitoring.rise import Limit, Rise, Watched
from serinus.monitoring.traffic import Span
from serinus.monitoring.types import (
    DriftWindow,
    Observed,
    PerformanceWindow,
    Profile,
    Recommendation,
    Reference,
)
from serinus.store.engine import exclusive, reading
from serinus.wire import Arm, Event, Failure, Label, Prediction, WorkerStatus

NAME = "monitoring"
LABELLED_WINDOWS = 10
"""From so many windows is known how often labels come, and what they say."""

MOST_BASELINES = 256
_SWEEP_SECONDS = 3_600.0
_LOCK = 5375

Key = tuple[str, str]
"""Model and version."""


@dataclass
class _State:
    """What one commit left behind: never ahead of the database, and dropped when in doubt."""

    offsets: dict[str, Offset]
    newest: dict[Key, Window | None] = field(default_factory=dict)
    usual: dict[Key, Calibration] = field(default_factory=dict)


@dataclass
class _Changes:
    """What one batch leads to."""

    minutes: list[Minute] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    judged: list[DriftWindow] = field(default_factory=list)
    newest: dict[Key, Window | None] = field(default_factory=dict)
    usual: dict[Key, Calibration] = field(default_factory=dict)


class Monitor:
    """Watches every model of an installation.

    Folding is not for several threads at once, but several monitors on one database do no harm:
    each event counts once.

    Args:
        engine: the database.
        reader: the ledger.
        window_seconds: a window is open at least so long, by the events' times.
        window_rows: and has at least so many rows.
        false_alarm_windows: windows between false alarms of one kind, on average at least.
        failing_limit: the share of failing requests that is nothing to report.
        profile_days: how long profiles by the minute are kept.
    """

    def __init__(
        self,
        engine: Engine,
        reader: Reader,
        *,
        window_seconds: float,
        window_rows: int,
        false_alarm_windows: float,
        failing_limit: float,
        profile_days: float = 30.0,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._extent = Extent(window_rows, window_seconds)
        self._run_length = false_alarm_windows
        self._failing = Limit(failing_limit)
        self._state: _State | None = None
        self._profile_minutes = round(profile_days * 1_440)
        self._swept_at = -math.inf
        self._baselines: dict[Key, Baseline] = {}

    # -------------------------------------------------------------- folding

    def is_due(self) -> bool:
        """Whether a step would find something to do, as far as is known without one."""
        if self._state is None or clock.monotonic() >= self._swept_at + _SWEEP_SECONDS:
            return True
        batch = self._reader.read(self._state.offsets, 1)
        return bool(batch.records) or batch.offsets != self._state.offsets

    def step(self, references: Mapping[str, Reference], limit: int = 5_000) -> int:
        """Fold up to ``limit`` new events; the number that was read.

        Everything an event leads to is saved in one transaction with the offset behind it.

        Args:
            references: by model that of the version in production; a model without one is not
                profiled, but its labels are kept.
            limit: most events of one transaction.
        """
        self._sweep()
        state = self._state or self._load()
        batch = self._reader.read(state.offsets, limit)
        if not batch.records and batch.offsets == state.offsets:
            self._state = state
            return 0
        self._state = None  # whatever happens before the commit, the database is right
        read = len(batch.records)
        batch = replace(batch, records=[one for one in batch.records if _is_traffic(one.event)])
        changes = self._fold(batch, references, state)
        with self._engine.begin() as connection:
            exclusive(connection, _LOCK)
            if consumer.load_offsets(connection, NAME) != state.offsets:
                return 0  # another monitor was faster: these events are counted
            minutes.add(connection, changes.minutes)
            repository.save_windows(connection, changes.windows)
            repository.save_drift(connection, changes.judged)
            labels = (item.event for item in batch.records if isinstance(item.event, Label))
            self._watch_loss(connection, _save_labels(connection, labels, references), references)
            self._watch_failures(connection, batch, references)
            consumer.save_offsets(connection, NAME, batch.offsets)
        self._state = _State(
            batch.offsets, state.newest | changes.newest, state.usual | changes.usual
        )
        return read

    def _load(self) -> _State:
        with reading(self._engine) as connection:
            return _State(consumer.load_offsets(connection, NAME))

    def _fold(self, batch: Batch, references: Mapping[str, Reference], state: _State) -> _Changes:
        predictions: dict[Key, list[Prediction]] = defaultdict(list)
        failures: dict[Key, list[int]] = defaultdict(list)
        for _, event in batch.records:
            if isinstance(event, Prediction):
                predictions[event.assignment.model, event.version].append(event)
            elif isinstance(event, Failure) and event.assignment.model in references:
                failures[event.assignment.model, event.version].append(event.at)
        changes = _Changes()
        for key, found in predictions.items():
            found.sort(key=_time)
            own = self._own(key, references)
            rows = cells.placed(found, own)
            changes.minutes += minutes.fold(found, rows, own)
            if key[0] in references:
                baseline = self._baseline(references[key[0]])
                if baseline is not own:
                    # Windows of another version are beside those of the one in production.
                    rows = cells.placed(found, baseline)
                self._fold_version(key, found, rows, baseline, state, changes)
        for key, times in failures.items():
            self._fold_failures(key, times, state, changes)
        return changes

    def _fold_version(
        self,
        key: Key,
        predictions: list[Prediction],
        rows: Placed,
        baseline: Baseline,
        state: _State,
        changes: _Changes,
    ) -> None:
        newest = self._newest(key, state)
        number = 0 if newest is None else newest.number + 1
        window = newest if newest is not None and newest.closed_at is None else None
        if window is not None and window.reference != baseline.reference.version:
            # Another version went into production: what it is counted by has changed.
            changes.windows.append(_cut_short(window, predictions[0].at))
            window = None
        windows = profile.fold(window, number, predictions, rows, baseline, self._extent)
        changes.windows += windows
        changes.newest[key] = windows[-1]
        if key[1] == baseline.reference.version and baseline.bins:
            closed = [item for item in windows if item.closed_at is not None]
            for item in closed:
                usual = changes.usual.get(key) or self._usual(key, baseline, state)
                judged, changes.usual[key] = drift.judge(item, baseline, usual, self._run_length)
                changes.judged.append(judged)

    def _fold_failures(self, key: Key, times: list[int], state: _State, changes: _Changes) -> None:
        """Count failures into the windows that they fell into; of no window, they are not kept."""
        newest = self._newest(key, state)
        windows = {} if newest is None else {newest.number: newest}
        windows |= {it.number: it for it in changes.windows if (it.model, it.version) == key}
        if not windows:
            return
        changed = profile.with_failures([windows[number] for number in sorted(windows)], times)
        new = {(*key, it.number): it for it in changed}
        changes.windows = [
            new.pop((it.model, it.version, it.number), it) for it in changes.windows
        ] + list(new.values())
        windows |= {it.number: it for it in changed}
        changes.newest[key] = windows[max(windows)]

    def _watch_failures(
        self, connection: Connection, batch: Batch, references: Mapping[str, Reference]
    ) -> None:
        asked: dict[Key, list[Prediction | Failure]] = defaultdict(list)
        for _, event in batch.records:
            if isinstance(event, (Prediction, Failure)):
                asked[event.assignment.model, event.version].append(event)
        for key in _in_production(asked, references):
            times = [event.at for event in asked[key]]
            failed = [float(isinstance(event, Failure)) for event in asked[key]]
            answers = len(failed) - round(sum(failed))
            span = Span(min(times), max(times), answers)
            self._follow(connection, key, Watched.FAILING, self._failing, failed, span)

    def _watch_loss(
        self,
        connection: Connection,
        labels: Mapping[Key, list[Label]],
        references: Mapping[str, Reference],
    ) -> None:
        for key in _in_production(labels, references):
            reference = references[key[0]]
            facts = repository.version_facts(connection, *key).get(key[1])
            expected = facts.expected if facts else Expected(reference.metrics, None)
            limit = rise.loss_limit(reference.task, expected)
            values = rise.losses(labels[key], reference.task)
            if limit is not None and values:
                times = [label.at for label in labels[key]]
                span = Span(min(times), max(times), len(values))
                self._follow(connection, key, Watched.LOSS, limit, values, span)

    def _follow(
        self,
        connection: Connection,
        key: Key,
        watched: Watched,
        limit: Limit,
        values: list[float],
        span: Span,
    ) -> None:
        held = repository.rises(connection, *key).get(watched)
        if held is None or held.limit != limit:
            held = Rise(limit=limit)
        following = rise.follow(held, values, span, self._extent, self._run_length)
        repository.save_rise(connection, *key, watched, following)

    def _newest(self, key: Key, state: _State) -> Window | None:
        if key not in state.newest:
            with reading(self._engine) as connection:
                state.newest[key] = repository.newest_window(connection, *key)
        return state.newest[key]

    def _usual(self, key: Key, baseline: Baseline, state: _State) -> Calibration:
        if key not in state.usual:
            with reading(self._engine) as connection:
                windows = repository.calibrating_windows(connection, *key)
            state.usual[key] = drift.calibration(baseline, windows)
        return state.usual[key]

    def _baseline(self, reference: Reference) -> Baseline:
        key = (reference.model, reference.version)
        if key not in self._baselines:
            if len(self._baselines) >= MOST_BASELINES:
                self._baselines.clear()
            self._baselines[key] = Baseline(reference)
        return self._baselines[key]

    def _own(self, key: Key, references: Mapping[str, Reference]) -> Baseline:
        """The baseline of the version itself; one without a profile if nothing is known of it."""
        reference = references.get(key[0])
        if reference is None or reference.version != key[1]:
            if key in self._baselines:
                return self._baselines[key]
            with reading(self._engine) as connection:
                facts = repository.version_facts(connection, *key).get(key[1])
            return self._of(key, facts)
        return self._baseline(reference)

    def _of(self, key: Key, facts: repository.Facts | None) -> Baseline:
        if facts is None:  # It may be registered yet, so this is not kept.
            return Baseline(
                Reference(model=key[0], version=key[1], task="", profile={}, metrics={})
            )
        return self._baseline(
            Reference(
                model=key[0],
                version=key[1],
                task=facts.manifest.task,
                profile=facts.reference,
                metrics=dict(facts.expected.metrics),
            )
        )

    def _sweep(self) -> None:
        """Forget profiles that are too old, once an hour."""
        now = clock.monotonic()
        if now < self._swept_at + _SWEEP_SECONDS:
            return
        self._swept_at = now
        with self._engine.begin() as connection:
            minutes.forget(connection, minutes.minute_of(clock.now()) - self._profile_minutes)

    # -------------------------------------------------------------- looking

    def drift_history(self, model: str, limit: int = 100) -> list[DriftWindow]:
        """Judged windows of a model's production versions, newest first."""
        with reading(self._engine) as connection:
            return repository.drift_windows(connection, model, limit=limit)

    def performance_history(self, model: str, limit: int = 100) -> list[PerformanceWindow]:
        """How well predictions turned out by window and version, newest first."""
        with reading(self._engine) as connection:
            rows = repository.performance_rows(connection, model, limit=limit)
            versions = {row.version for row, _ in rows}
            facts = repository.version_facts(connection, model, *versions) if versions else {}
        return [
            PerformanceWindow(
                model=row.model,
                version=row.version,
                window=row.window,
                opened_at=row.opened_at,
                closed_at=row.closed_at,
                rows=row.rows,
                measures=performance.measures(
                    sums, facts[row.version].manifest.task, facts[row.version].expected.metrics
                ),
            )
            for row, sums in rows
            if row.version in facts
        ]

    def observed(self, model: str, version: str, *, hours: float = 24.0) -> Observed | None:
        """What the model's traffic was like in the last ``hours``, and how a version answered it.

        A window that began earlier counts by the part that lies within, as if its requests had
        come evenly. Traffic that was not read yet is missing.

        Args:
            model: the model.
            version: whose failures, latencies and labels are asked for.
            hours: how far to look back.

        Returns:
            None if no request came in that time.
        """
        now = clock.epoch_us()
        since = now - round(hours * 3.6e9)
        with reading(self._engine) as connection:
            windows = repository.recent_windows(connection, model, clock.from_epoch_us(since))
            facts = repository.version_facts(connection, model, version).get(version)
            answers, labels = repository.newest_labelled(
                connection, model, version, limit=LABELLED_WINDOWS
            )
        held = [it for it in windows if it.traffic.last_at >= since]
        spans = [Span(it.opened_at, it.traffic.last_at, it.rows + it.traffic.failed) for it in held]
        start = max(since, min((span.first_at for span in spans), default=now))
        requests = round(traffic.within(spans, start, now))
        if not requests:
            return None
        own = (it.traffic for it in held if it.version == version)
        total = sum(own, traffic.nothing(0))
        asked = total.answered + total.failed
        return Observed(
            requests=requests,
            seconds=max(1, now - start) / 1e6,
            error_rate=total.failed / asked if asked else None,
            p50_ms=traffic.quantile_ms(total.latency, 0.50),
            p95_ms=traffic.quantile_ms(total.latency, 0.95),
            labelled=labels.rows / answers if answers else None,
            loss=None if facts is None else performance.loss(labels, facts.manifest.task),
        )

    def profiles(self, model: str, wanted: Range, limit: int = 100) -> list[Profile]:
        """What the traffic of a model's versions looked like, oldest first.

        Args:
            model: the model.
            wanted: which minutes, and how many of them together.
            limit: most items.
        """
        with reading(self._engine) as connection:
            versions = minutes.versions(connection, model, wanted)
            facts = repository.version_facts(connection, model, *versions) if versions else {}
            baselines = {
                version: self._of((model, version), facts.get(version)) for version in versions
            }
            with closing(minutes.profiles(connection, model, wanted, baselines)) as found:
                return list(islice(found, limit))

    def recommendation(self, model: str) -> Recommendation:
        """What to do about the version in production, and why."""
        with reading(self._engine) as connection:
            return advice.recommend(advice.gather(connection, model), self._run_length)


def _in_production(found: Iterable[Key], references: Mapping[str, Reference]) -> list[Key]:
    return [key for key in found if key[0] in references and references[key[0]].version == key[1]]


def _time(prediction: Prediction) -> int:
    return prediction.at


def _cut_short(window: Window, at: int) -> Window:
    return replace(window, closed_at=max(window.opened_at, at))


def _save_labels(
    connection: Connection, labels: Iterable[Label], references: Mapping[str, Reference]
) -> dict[Key, list[Label]]:
    """Keep new labels, and add them to the windows that their predictions were made in.

    Returns those that were new, by model and version.
    """
    by_version: dict[Key, list[Label]] = defaultdict(list)
    for label in repository.save_labels(connection, labels):
        by_version[label.assignment.model, label.version].append(label)
    for (model, version), new in by_version.items():
        starts = repository.window_starts(connection, model, version)
        if model not in references or not starts:
            continue
        numbers, openings = zip(*starts, strict=True)
        made = np.searchsorted(openings, [label.predicted_at for label in new], side="right")
        added: dict[int, Sums] = defaultdict(Sums)
        for place, label in zip(np.maximum(made - 1, 0).tolist(), new, strict=True):
            added[numbers[place]] += performance.sums(label, references[model].task)
        repository.add_performance(connection, model, version, added)
    return by_version


def _is_traffic(event: Event) -> bool:
    """Whether it is of production: what a version in Staging is asked is nobody's traffic."""
    return not isinstance(event, WorkerStatus) and event.assignment.arm is not Arm.STAGING
