"""What jobs do: ``train`` a model as asked, ``retrain`` a champion on what it met since.

A job may run again after a crash. Each handler therefore looks first for the version and the
deployment that an earlier attempt of the same job has left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pandas as pd

from serinus import clock
from serinus.app import App
from serinus.data import ingest
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.errors import Conflict, InvalidInput
from serinus.monitoring.labelled import labelled_rows
from serinus.registry.types import ModelVersion
from serinus.scheduling.child import Handler
from serinus.scheduling.types import Job
from serinus.settings import Settings
from serinus.training import pipeline
from serinus.training import spec as specs

JOB_TAG = "serinus.job"
_LOOK_BACK = 200

Tell = Callable[[str], None]


def handlers(settings: Mapping[str, Any]) -> dict[str, Handler]:
    """The handlers of one installation by kind of job, from its settings as plain JSON."""
    app = App(Settings(**settings))
    return {
        "train": lambda job, tell: train(app, job, tell),
        "retrain": lambda job, tell: retrain(app, job, tell),
    }


def train(app: App, job: Job, tell: Tell) -> dict[str, Any]:
    """Train by the specification in the payload; with ``deploy`` also begin a deployment."""
    asked = dict(job.payload)
    deploy = bool(asked.pop("deploy", False))
    asked["tags"] = {**asked.get("tags", {}), JOB_TAG: job.id}
    spec = specs.from_dict(asked)
    version = _made_before(app, spec.model, job)
    if version is None:
        result = pipeline.train(
            spec, registry=app.registry, types=app.types, progress=_stages(tell)
        )
        version = result.version
    deployment = _deploy(app, version, job, tell) if deploy else None
    return _outcome(version, deployment)


def retrain(app: App, job: Job, tell: Tell) -> dict[str, Any]:
    """Train the champion's algorithm on the labelled rows it answered, and begin a canary.

    The payload names the ``model``, the ``reason``, and since when rows count (``since``, ISO).

    Raises:
        Conflict: no version is in production, or the new one failed its gates. Such a job has
            failed: its trigger asks again after its rest, when there are more rows.
    """
    model, reason = str(job.payload["model"]), str(job.payload["reason"])
    version = _made_before(app, model, job)
    if version is None:
        champion = app.registry.champion(model)
        if champion is None:
            raise Conflict(
                "no version is in production any more, so there is nothing to follow",
                where=model,
                remedy="Train and deploy a version.",
            )
        tell("collecting labelled rows")
        rows = _rows(app, model, job.payload.get("since"))
        source = f"live rows of job {job.id}"
        spec = replace(
            pipeline.retrain_spec(champion, data=source, reason=reason), tags={JOB_TAG: job.id}
        )
        dataset = ingest.from_frame(rows, name=f"{model} live", source=source)
        version = pipeline.train(
            spec,
            registry=app.registry,
            dataset=dataset,
            types=app.types,
            progress=_stages(tell),
        ).version
    deployment = _deploy(app, version, job, tell)
    if deployment is None:
        raise Conflict(
            f"the retrained version failed its gates: {'; '.join(_failed(version))}",
            where=f"{model} {version.version}",
            remedy="It is registered and gets no traffic; another is trained when there are more "
            "labels, if the reason persists.",
        )
    return {**_outcome(version, deployment), "reason": reason}


def _rows(app: App, model: str, since: str | None) -> pd.DataFrame:
    moment = clock.require_aware(pd.Timestamp(since).to_pydatetime()) if since else None
    rows, count = labelled_rows(app.ledger, app.engine, model, moment)
    needed = app.settings.min_training_data_points
    if count < needed:
        raise InvalidInput(
            f"{count} labelled rows are too few to train on, {needed} are needed",
            where=model,
            remedy="Send labels to /feedback, or lower min_training_data_points.",
        )
    return pd.DataFrame(rows)


def _made_before(app: App, model: str, job: Job) -> ModelVersion | None:
    """The version that an earlier attempt of this job has registered."""
    if app.registry.newest(model) is None:
        return None
    recent = app.registry.versions(model, _LOOK_BACK)
    return next((item for item in recent if item.tags.get(JOB_TAG) == job.id), None)


def _deploy(app: App, version: ModelVersion, job: Job, tell: Tell) -> Deployment | None:
    """Begin the version's deployment, unless its gates forbid it or it was begun before."""
    earlier = app.delivery.list(version.model, limit=_LOOK_BACK, after=None)
    begun = next((item for item in earlier if item.challenger == version.version), None)
    if begun is not None:
        return begun
    if version.failed_gates:
        tell("its gates keep the version from traffic")
        return None
    tell("beginning the deployment")
    former = next(filter(_has_proved_itself, earlier), None)
    spec = like(former, version) if former is not None else _usual(version)
    return app.delivery.create(spec, actor=f"{job.kind} job {job.id}")


def _has_proved_itself(deployment: Deployment) -> bool:
    """Whether its plan brought a version to production by evidence, and not a person in a hurry."""
    plan = deployment.plan
    by_evidence = deployment.verdict is Outcome.PROMOTE and plan.experiment is None
    return deployment.phase is Phase.SUCCEEDED and plan.promotes and by_evidence


def _usual(version: ModelVersion) -> dict[str, str]:
    """What the model's type says of deployments, else Serinus."""
    return {"model": version.model, "challenger": version.version}


def like(former: Deployment, version: ModelVersion) -> DeploymentSpec:
    """What was asked for the last deployment that has proved itself, for this version."""
    return msgspec.structs.replace(former.spec, challenger=version.version, champion=None)


def _stages(tell: Tell) -> Callable[[str, float], None]:
    def progress(stage: str, done: float) -> None:
        tell(f"{stage} ({done:.0%})")

    return progress


def _outcome(version: ModelVersion, deployment: Deployment | None) -> dict[str, Any]:
    return {
        "model": version.model,
        "version": version.version,
        "gates_failed": _failed(version),
        "deployment": deployment.id if deployment else None,
    }


def _failed(version: ModelVersion) -> list[str]:
    return [f"{gate.name}: {gate.detail}" for gate in version.failed_gates]
