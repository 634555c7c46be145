"""What the registry keeps: versions, their stages, and what gates said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from serinus import wire


class Stage(StrEnum):
    """Where a version stands in its life; :mod:`serinus.registry.stages` says which moves exist."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


@dataclass(frozen=True)
class GateResult:
    """What one gate said of a version before it was registered.

    Args:
        name: the gate, such as ``threshold roc_auc`` or ``benchmark log_loss``.
        passed: whether the version may be brought to traffic as far as this gate goes.
        detail: the figures behind it, in one sentence.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that asks to become a version.

    Args:
        uri: absolute folder (or s3 address) of the MLflow model, ``serinus.json`` in it.
        source: what MLflow's own registry should point to (``models:/m-…``); empty is ``uri``.
        manifest: names the model, its task, inputs, target and classes.
        model_type: the profile it is held to (``classification``, ``regression``, …).
        run_id: the MLflow run that made it, if one did.
        version: a semantic version, or None for the next one.
        parent: the version it descends from; None is the champion, else the newest version.
        dataset: where its rows came from: ``name``, ``source``, ``digest``, ``rows``, ….
        params: how it was made; ``algorithm`` is one of them.
        gates: what the gates said; one that failed keeps the version from traffic for good.
        reference: :func:`serinus.stats.bins.reference_profile` of its training rows.
    """

    uri: str
    manifest: wire.Manifest
    model_type: str
    source: str = ""
    run_id: str = ""
    version: str | None = None
    parent: str | None = None
    description: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One immutable version of a model; only its stage ever changes.

    ``parent`` is None for a first version. ``mlflow_version`` is empty until MLflow's registry
    has followed. The other fields are those of :class:`Candidate`.
    """

    model: str
    version: str
    stage: Stage
    uri: str
    run_id: str
    mlflow_version: str
    model_type: str
    task: str
    description: str
    parent: str | None
    manifest: wire.Manifest
    metrics: dict[str, float]
    params: dict[str, Any]
    tags: dict[str, str]
    dataset: dict[str, Any]
    gates: tuple[GateResult, ...]
    reference: dict[str, Any]
    created_at: datetime

    @property
    def failed_gates(self) -> tuple[GateResult, ...]:
        """The gates that keep the version from traffic."""
        return tuple(gate for gate in self.gates if not gate.passed)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A name under which versions are kept."""

    name: str
    model_type: str
    task: str
    description: str
    created_at: datetime


@dataclass(frozen=True)
class StageChange:
    """One move of one version, with who asked for it and why."""

    model: str
    version: str
    from_stage: Stage
    to_stage: Stage
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side.

    Args:
        first: the one version.
        second: the other.
        metrics: by name the two values, None where a version has no such metric.
        params: by name the two values, only where they differ.
        same_data: whether both came from rows with the same digest.
        breaks: how ``second`` breaks callers of ``first``; empty if it does not.
    """

    first: ModelVersion
    second: ModelVersion
    metrics: dict[str, tuple[float | None, float | None]]
    params: dict[str, tuple[Any, Any]]
    same_data: bool
    breaks: tuple[str, ...]
