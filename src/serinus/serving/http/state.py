"""What a worker tells of itself: health, what is served, counts. Read only."""

from __future__ import annotations

from serinus.serving import exposition
from serinus.serving.rows import LiveRoute
from serinus.serving.service import Service
from serinus.serving.table import Snapshot

METRICS = exposition.CONTENT_TYPE


def health(service: Service, *, draining: bool) -> dict[str, object]:
    """What is in force, what could not be loaded, and whether the ledger takes events."""
    ledger, table = service.recorder.error, service.table_error
    snapshot = service.snapshot
    return {
        "worker": service.worker,
        "revision": snapshot.revision,
        "serving": snapshot.ready,
        "failed": snapshot.failed,
        "loading": snapshot.loading,
        "asleep": sorted(snapshot.asleep),
        "circuits": service.circuits(),
        "ledger": "ok" if ledger is None else ledger.what,
        "routing_table": "ok" if table is None else table.what,
        "draining": draining,
    }


def reloaded(snapshot: Snapshot) -> dict[str, object]:
    """What a reload led to."""
    return {"revision": snapshot.revision, "ready": snapshot.ready, "failed": snapshot.failed}


def model(live: LiveRoute) -> dict[str, object]:
    """A model as it is being served: its inputs, its versions, its deployment."""
    manifest = live.champion.runtime.manifest
    challenger = live.challenger
    return {
        "model": live.route.model,
        "version": live.champion.version,
        "revision": live.revision,
        "task": manifest.task,
        "target": manifest.target,
        "classes": manifest.classes,
        "inputs": manifest.inputs,
        "example": manifest.example,
        "challenger": None if challenger is None else challenger.version,
        "share": live.route.share if challenger is not None else 0.0,
        "mirror": live.route.mirror if challenger is not None else 0.0,
        "deployment": live.route.deployment,
        "step": live.route.step,
    }


def stats(service: Service) -> dict[str, object]:
    """Counts over all workers, and what waits in this one."""
    return {
        "revision": service.snapshot.revision,
        "waiting": service.waiting,
        "shadows_waiting": service.shadows_waiting,
        "circuits": service.circuits(),
        **exposition.stats(service.counts()),
    }


def metrics(service: Service) -> bytes:
    """The same in Prometheus' text format."""
    return exposition.metrics(
        service.counts(),
        revision=service.snapshot.revision,
        ready=int(service.is_ready),
        waiting=service.waiting,
    )
