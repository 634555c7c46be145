"""What a worker tells of itself: health, what is served, counts. Read only."""

from __future__ import annotations

from importlib import metadata

from serinus.serving.asking.live import LiveRoute
from serinus.serving.loading.snapshot import Snapshot
from serinus.serving.protocols import openapi
from serinus.serving.service import Service
from serinus.serving.telling import exposition

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
        "defaults": {name: live.absent for name, live in snapshot.routes.items() if live.absent},
        "circuits": service.snapshot.circuits,
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
        "others": [
            {"version": lane.version, "share": variant.share}
            for lane, variant in zip(live.others, live.route.others, strict=True)
            if lane is not None
        ],
        "deployment": live.route.deployment,
        "step": live.route.step,
    }


def openapi_document(service: Service, max_rows: int) -> bytes:
    """All calls, with what each model that is loaded takes and gives."""
    return openapi.encode(
        openapi.document(
            [_served(live) for live in service.snapshot.routes.values()],
            version=metadata.version("serinus"),
            max_rows=max_rows,
            others=service.snapshot.serves_several,
        )
    )


def _served(live: LiveRoute) -> openapi.Served:
    lanes = live.answering
    return openapi.Served(
        live.decoder.inputs,
        tuple(lane.runtime.manifest for lane in lanes),
        tuple(lane.version for lane in lanes),
        live.route.staging is not None,
    )


def stats(service: Service) -> dict[str, object]:
    """Counts over all workers, and what waits in this one."""
    return {
        "revision": service.snapshot.revision,
        "waiting": service.waiting,
        "shadows_waiting": service.shadows_waiting,
        "circuits": service.snapshot.circuits,
        **exposition.stats(service.counts()),
    }


def metrics(service: Service) -> bytes:
    """The same in Prometheus' text format."""
    return exposition.metrics(
        service.counts(),
        exposition.Present(
            revision=service.snapshot.revision,
            is_ready=service.is_ready,
            waiting=service.waiting,
            takes_events=service.recorder.error is None,
            circuits=service.snapshot.circuits,
        ),
    )
