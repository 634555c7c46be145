"""The control plane's faces over real services: a server on a real port, a ledger tests write."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from serinus import clock
from serinus.api import application
from serinus.app import App
from serinus.client import Serinus
from serinus.client.types import Part
from serinus.dashboard import pages
from serinus.ledger.files.writer import Writer
from serinus.registry import folders
from serinus.registry.types import Candidate, GateResult, ModelVersion, Stage
from serinus.settings import Settings
from serinus.wire import (
    Arm,
    Assignment,
    Event,
    Failure,
    Field,
    Manifest,
    Output,
    Prediction,
    WorkerStatus,
)

MODEL = "fraud"
MANIFEST = Manifest(
    MODEL,
    "classification",
    (Field("amount", "double"), Field("age", "double")),
    "is_fraud",
    (0, 1),
    {"amount": 12.5, "age": 41.0},
)


class Steady:
    """A loop that is always well."""

    def part(self) -> Part:
        """Its health."""
        return Part("monitoring", "ok")


@dataclass
class Faces:
    """An installation's faces, whose controller makes a pass when a test says so."""

    app: App
    url: str
    writer: Writer

    @property
    def client(self) -> Serinus:
        """A new SDK client of it; nobody answers as a gateway."""
        return Serinus(self.url, "http://127.0.0.1:9", actor="test")

    def register(
        self, version: str, *, stage: Stage = Stage.NONE, **changes: object
    ) -> ModelVersion:
        """A version of ``fraud``, brought to a stage."""
        fields: dict[str, object] = {
            "manifest": MANIFEST,
            "model_type": "classification",
            "version": version,
            "metrics": {"accuracy": 0.95},
            "params": {"algorithm": "logistic_regression"},
            "gates": (GateResult("threshold accuracy", True, "0.95 against 0.7"),),
            **changes,
        }
        folder = self.app.settings.home / "models" / version
        folder.mkdir(parents=True)
        folders.write_manifest(folder, fields["manifest"])  # type: ignore[arg-type]
        fields.setdefault("uri", str(folder))
        self.app.registry.register(Candidate(**fields))  # type: ignore[arg-type]
        for to in (Stage.STAGING, Stage.PRODUCTION):
            if stage in (to, Stage.PRODUCTION):
                self.app.registry.transition(
                    None, MODEL, version, to, actor="test", reason="by the test"
                )
        return self.app.registry.get(MODEL, version)

    def report(self, *versions: str) -> None:
        """A gateway worker says what it has ready; the controller looks."""
        revision = self.app.delivery.routing().revision
        ready = tuple(f"{MODEL}@{version}" for version in versions)
        self.writer.append([WorkerStatus(clock.epoch_us(), "w1", revision, ready, {})])
        self.app.controller.run_once()

    def traffic(self, champion: int, challenger: int, *, failures: int = 0) -> None:
        """Live requests by arm under the route in force, some of the challenger's failed."""
        route = self.app.delivery.routing().routes[MODEL]
        counts = {Arm.CHAMPION: champion, Arm.CHALLENGER: challenger}
        events: list[Event] = []
        for arm, count in counts.items():
            target = route.challenger if arm is Arm.CHALLENGER else route.champion
            assert target is not None
            assignment = Assignment(MODEL, arm, route.share, 1, route.deployment, route.step)
            for number in range(count):
                at = clock.epoch_us()
                if arm is Arm.CHALLENGER and number < failures:
                    events.append(Failure(at, assignment, target.version, "it raised", 900))
                else:
                    answer = Output(0, (0.9, 0.1))
                    events.append(
                        Prediction(at, assignment, target.version, (1.0, 2.0), answer, 800)
                    )
        self.writer.append(events)
        self.app.controller.run_once()


@contextmanager
def running(home: Path, **settings: object) -> Iterator[Faces]:
    """Serve the faces of the installation in ``home`` from a thread."""
    app = App(Settings(home=home, **settings))  # type: ignore[arg-type]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    faces = application.create(app, loops=[Steady()], stopping=lambda: server.should_exit)
    pages.install(faces)
    server = uvicorn.Server(uvicorn.Config(faces, log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = clock.monotonic() + 20
    while not server.started and clock.monotonic() < deadline:
        clock.sleep(0.01)
    writer = Writer(app.settings.ledger, segment_bytes=1_000_000, sync="os")
    host, port = listener.getsockname()
    try:
        yield Faces(app, f"http://{host}:{port}", writer)
    finally:
        server.should_exit = True
        thread.join(10)
        writer.close()
        app.registry.close()  # it follows in a thread, which would open the database again
        app.engine.dispose()
        listener.close()
