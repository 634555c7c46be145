"""The common start of runs that are compared: a home with two versions and one deployment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from serinus import clock, settings
from serinus.app import App
from serinus.chaos.databases import Database
from serinus.chaos.script import CHALLENGER, CHAMPION, MODEL, Script
from serinus.delivery.types import DeploymentSpec
from serinus.registry import folders
from serinus.registry.types import Candidate, GateResult, Stage
from serinus.store.engine import open_engine
from serinus.wire import Field, Manifest

_ACTOR = "chaos"


@dataclass(frozen=True)
class Scene:
    """A home at which nothing runs, with a deployment that waits for its workers.

    Attributes:
        home: its folder.
        database: under which.
        deployment: its id.
        moment_us: the time of day at which the script begins.
    """

    home: Path
    database: Database
    deployment: str
    moment_us: int

    @property
    def address(self) -> str:
        """Of the home's database."""
        return self.database.address(self.home)

    def copy(self, home: Path) -> Scene:
        """The same elsewhere; what happens to one does not touch the other."""
        shutil.copytree(self.home, home)
        self.database.copy(self.home, home)
        return Scene(home, self.database, self.deployment, self.moment_us)

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """The home's database, for as long as the block."""
        engine = open_engine(self.address)
        try:
            yield engine
        finally:
            engine.dispose()


def prepare(
    home: Path, database: Database, script: Script | None, *, models: Sequence[str] = (MODEL,)
) -> Scene:
    """Make a home, register two versions, bring one to Production and begin to deploy the other.

    Args:
        home: its folder.
        database: under which.
        script: whose specification is deployed; with None the scene has no deployment yet.
        models: of which there are these two versions.
    """
    app = App(settings.load({}, home=home, database_url=database.address(home))[0])
    try:
        for model in models:
            _register(app, home, model)
        if script is None:
            app.delivery.tables.publish()
            return Scene(home, database, "", clock.epoch_us())
        fields = {"model": script.model, "challenger": CHALLENGER, **script.spec}
        spec = msgspec.convert(fields, DeploymentSpec)
        deployment = app.delivery.create(spec, actor=_ACTOR)
    finally:
        app.registry.close()
        app.engine.dispose()
    return Scene(home, database, deployment.id, clock.epoch_us())


def _register(app: App, home: Path, model: str) -> None:
    for version in (CHAMPION, CHALLENGER):
        app.registry.register(_candidate(home, model, version))
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        app.registry.transition(None, model, CHAMPION, stage, actor=_ACTOR, reason="the start")


def _candidate(home: Path, model: str, version: str) -> Candidate:
    fields = (Field("amount", "double"), Field("age", "double"))
    manifest = Manifest(model, "classification", fields, "is_fraud", (0, 1))
    folder = home / "models" / model / version
    folder.mkdir(parents=True)
    folders.write_manifest(folder, manifest)
    return Candidate(
        uri=str(folder),
        manifest=manifest,
        model_type="classification",
        version=version,
        metrics={"accuracy": 0.95},
        gates=(GateResult("threshold accuracy", passed=True, detail="0.95 against 0.7"),),
    )
