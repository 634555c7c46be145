"""Counts as people (``/stats``) and Prometheus (``/metrics``) read them.

Labels of metrics are bounded: model, arm and status; versions appear in ``/stats``, and in metrics
only while their circuit is not closed. What was asked of a version in Staging stands apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from serinus.serving.telling import unusual, violations
from serinus.serving.telling.counters import BOUNDS, Counts, Tally, quantile
from serinus.wire import Arm

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_LEVELS = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def stats(counts: Counts) -> dict[str, object]:
    """Counts and latencies by model, version and arm."""
    models: dict[str, dict[str, dict[str, object]]] = {}
    production = _production(counts)
    for tally in production:
        arms = models.setdefault(tally.model, {}).setdefault(tally.version, {})
        arms[tally.arm] = _told(tally)
    staging: dict[str, dict[str, object]] = {}
    for tally in _staging(counts):
        staging.setdefault(tally.model, {})[tally.version] = _told(tally)
    return {
        "requests": sum(tally.rows for tally in production),
        "errors": sum(tally.failed for tally in production),
        "fallbacks": sum(tally.fallback for tally in production),
        "defaults": counts.defaults,
        "refused": counts.refused,
        "labels": counts.labels,
        "values": counts.values,
        "ledger_errors": counts.ledger_errors,
        "unrecorded": counts.unrecorded,
        "busy": round(counts.busy, 3),
        "mirrored": counts.mirrored,
        "cloned": counts.cloned,
        "shed": counts.shed,
        "unusual": unusual.by_model(counts.unusual),
        "violations": violations.by_model(counts.violations),
        "models": models,
        "staging": staging,
    }


def _told(tally: Tally) -> dict[str, object]:
    return {
        "requests": tally.rows,
        "success": tally.success,
        "fallback": tally.fallback,
        "failed": tally.failed,
        "latency_ms": {name: _ms(tally.latency, level) for name, level in _LEVELS.items()},
    }


def _production(counts: Counts) -> list[Tally]:
    return [tally for tally in counts.tallies if tally.arm != Arm.STAGING]


def _staging(counts: Counts) -> list[Tally]:
    return [tally for tally in counts.tallies if tally.arm == Arm.STAGING]


@dataclass(frozen=True, kw_only=True)
class Present:
    """What is in force in one worker now."""

    revision: int
    is_ready: bool
    waiting: int
    takes_events: bool
    circuits: Mapping[str, str]


def metrics(counts: Counts, present: Present) -> bytes:
    """The same in Prometheus' text format, with what is in force in this worker now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(counts, present))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, counts: Counts, now: Present) -> None:
        self._counts = counts
        self._gauges = {
            "serinus_gateway_revision": ("Revision of the routing table in force", now.revision),
            "serinus_gateway_ready": ("1 if predictions are being answered", now.is_ready),
            "serinus_gateway_waiting_rows": ("Rows that wait for a model", now.waiting),
            "serinus_gateway_ledger_up": ("1 if the ledger takes events", now.takes_events),
            "serinus_gateway_open_circuits": ("Versions that are not asked", len(now.circuits)),
        }
        self._circuits = now.circuits

    def collect(self) -> Iterable[Metric]:
        yield _predictions(self._counts)
        yield _latency(self._counts)
        yield from _totals(self._counts)
        yield from _quality(self._counts)
        yield _staged(self._counts)
        yield _circuits(self._circuits)
        for name, (text, value) in self._gauges.items():
            yield GaugeMetricFamily(name, text, value=value)


def _predictions(counts: Counts) -> Metric:
    family = CounterMetricFamily(
        "ml_predictions",
        "Predictions by what became of them",
        labels=("model", "arm", "status"),
    )
    for (model, arm), tally in _by_arm(counts).items():
        for status in ("success", "fallback", "failed"):
            family.add_metric([model, arm, status], getattr(tally, status))
    return family


def _latency(counts: Counts) -> Metric:
    family = HistogramMetricFamily(
        "ml_prediction_latency_seconds",
        "From a decoded request to its recorded answer",
        labels=("model", "arm"),
    )
    for (model, arm), tally in _by_arm(counts).items():
        family.add_metric([model, arm], list(_buckets(tally)), sum_value=tally.seconds)
    return family


def _totals(counts: Counts) -> Iterator[Metric]:
    refused = CounterMetricFamily(
        "serinus_gateway_refused", "Requests answered with a problem", labels=("code",)
    )
    for code, count in counts.refused.items():
        refused.add_metric([code], count)
    yield refused
    for name, text, count in (
        ("serinus_gateway_labels", "Labels taken", counts.labels),
        ("serinus_gateway_values", "Business values taken", counts.values),
        ("serinus_gateway_ledger_errors", "Writes that the ledger refused", counts.ledger_errors),
        ("serinus_gateway_unrecorded", "Answers without an event", counts.unrecorded),
        ("serinus_gateway_mirrored", "Rows that a shadow answered", counts.mirrored),
        ("serinus_gateway_cloned", "Rows that a champion answered once more", counts.cloned),
        ("serinus_gateway_defaults", "Requests that no version answered", counts.defaults),
        ("serinus_gateway_shed", "Rows that no shadow or clone had room for", counts.shed),
    ):
        yield CounterMetricFamily(name, text, value=count)


def _quality(counts: Counts) -> Iterator[Metric]:
    odd = CounterMetricFamily(
        "ml_unusual_rows", "Rows with values far from all training", labels=("model",)
    )
    rows: Counter[str] = Counter()
    for oddity in counts.unusual:
        if not oddity.field:
            rows[oddity.model] += oddity.count
    for model, count in rows.items():
        odd.add_metric([model], count)
    yield odd
    wrong = CounterMetricFamily(
        "ml_schema_violations",
        "Rows refused for a field that was missing, unknown or of another type",
        labels=("model", "field", "kind"),
    )
    for one in counts.violations:
        wrong.add_metric([one.model, one.field, one.kind], one.count)
    yield wrong


def _staged(counts: Counts) -> Metric:
    family = CounterMetricFamily(
        "serinus_staging_predictions",
        "Predictions at the staging endpoint by what became of them",
        labels=("model", "status"),
    )
    for model in {tally.model: None for tally in _staging(counts)}:
        for status in ("success", "failed"):
            rows = (getattr(one, status) for one in _staging(counts) if one.model == model)
            family.add_metric([model, status], sum(rows))
    return family


def _circuits(circuits: Mapping[str, str]) -> Metric:
    family = GaugeMetricFamily(
        "serinus_circuit_open",
        "1 if this worker does not ask the version, 0.5 while it tries it again",
        labels=("model", "version"),
    )
    for place, circuit in circuits.items():
        model, _, version = place.rpartition("@")
        family.add_metric([model, version], 1.0 if circuit == "open" else 0.5)
    return family


def _by_arm(counts: Counts) -> dict[tuple[str, str], Tally]:
    out: dict[tuple[str, str], Tally] = {}
    for tally in _production(counts):
        out.setdefault((tally.model, tally.arm), Tally(tally.model, "", tally.arm)).add(tally)
    return out


def _buckets(tally: Tally) -> Iterator[tuple[str, float]]:
    below = 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), tally.latency, strict=True):
        below += count
        yield bound, below


def _ms(latency: list[int], level: float) -> float | None:
    found = quantile(latency, level)
    return None if found is None else round(found * 1e3, 3)
