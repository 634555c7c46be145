"""The live half of ``serinus chaos rollback``: how soon the harm ends, and whom it met.

A whole installation with a gateway of two workers, real requests over HTTP, and real time. Each
incident has a model of its own; all of them happen at once.
"""

from __future__ import annotations

import http.client
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pandas as pd
from sqlalchemy import select

from serinus import clock, settings
from serinus.app import App
from serinus.bench import reaction
from serinus.chaos import frail
from serinus.chaos.frail import Frail
from serinus.chaos.script import CHALLENGER, CHAMPION
from serinus.chaos.ward import MODELS, RIGHT, Harm, Incident
from serinus.client import Serinus
from serinus.delivery.records import deployments
from serinus.demo import installation
from serinus.demo.installation import Installation
from serinus.errors import Unavailable
from serinus.ledger.files.reader import Reader
from serinus.ledger.types import Record
from serinus.registry import folders
from serinus.registry.types import Candidate, Stage
from serinus.store import schema
from serinus.store.engine import open_engine, reading
from serinus.wire import Arm, Failure, Manifest, Prediction, WorkerStatus

# Traffic before anything happens: six stretches of ten seconds at least make an earlier range.
_BEFORE_SECONDS = 75.0
_ROLLOUT_SECONDS = 5.0
# A person takes a moment to see that something is wrong.
_NOTICED_SECONDS = 2.0
_PATIENCE_SECONDS = 400.0
_LOOK_SECONDS = 0.05
_RATE = 30.0
_LABELS_AT_ONCE = 30
_WORKERS = 2
_SETTINGS = f"gateway_workers = {_WORKERS}\n"
_BURDENS: dict[Harm, int] = {
    "errors": frail.ERRORS,
    "latency": frail.LATENCY,
    "answers": frail.ANSWERS,
}
# Where a version has it among its inputs.
_BURDEN = 1
# It promotes nothing: what is measured is how it goes back.
_SPEC = {
    "shares": [0.5],
    "shadow": False,
    "min_requests": 100_000,
    "label_window_seconds": 600.0,
}


@dataclass(frozen=True)
class Relief:
    """One live incident: what was found, and whom it met.

    Attributes:
        incident: which.
        state: in which the rollback ended.
        said: why, in words.
        harm_ms: milliseconds from the first request that met the bad version until the last gateway
            worker had the table without it.
        word_ms: the same from the request with which the evidence sufficed; for a broken feed from
            the person's call.
        harmed: requests that met the bad version.
        harmed_after: those of them that came when the evidence sufficed, or the call was made.
    """

    incident: Incident
    state: str
    said: str
    harm_ms: float
    word_ms: float
    harmed: int
    harmed_after: int

    @property
    def right(self) -> bool:
        """Whether the cause was found."""
        return self.state == RIGHT[self.incident.cause]

    def told(self) -> str:
        """In words, with what it takes to see it again."""
        return f"live, {self.incident}: {self.state}, {self.said}"

    def figures(self) -> dict[str, float]:
        """For a report."""
        return {
            "ms from the first request harmed to 0 %": round(self.harm_ms),
            "ms from the evidence, or the call, to 0 %": round(self.word_ms),
            "requests harmed": self.harmed,
            "of them after that": self.harmed_after,
        }


class _Answered(msgspec.Struct):
    """What is looked at of an answer; a failure has no id."""

    prediction_id: str = ""


@dataclass
class _Stream:
    """Requests of the model of an incident, one after the other, with their labels.

    Attributes:
        burdened: whether requests bring along what the incident harms.
        answered: how many requests were answered, whatever with.
    """

    gateway_url: str
    incident: Incident
    model: str
    burdened: bool = False
    answered: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _labels: list[dict[str, object]] = field(default_factory=list)

    @contextmanager
    def flowing(self) -> Iterator[_Stream]:
        """For as long as the block."""
        thread = threading.Thread(target=self._send, name=self.model, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            thread.join(10)

    def _send(self) -> None:
        chance = random.Random(f"live {self.incident.cause} {self.incident.seed}")
        share = chance.uniform(0.3, 0.7)
        sign = 1 if self.incident.cause == "model" else -1
        address = urlsplit(self.gateway_url).netloc
        line = http.client.HTTPConnection(address, timeout=10)
        due = clock.monotonic()
        while not self.ended.wait(max(0.0, due - clock.monotonic())):
            due = max(due + 1.0 / _RATE, clock.monotonic() - 0.2)
            amount = chance.uniform(-1.0, 1.0)
            meets = self.burdened and chance.random() < share
            burden = sign * _BURDENS[self.incident.harm] if meets else 0
            self._ask(line, amount, burden)
            if len(self._labels) >= _LABELS_AT_ONCE:
                labels, self._labels = self._labels, []
                _post(line, "/feedback", {"labels": labels})
        line.close()

    def _ask(self, line: http.client.HTTPConnection, amount: float, burden: int) -> None:
        features = {frail.AMOUNT: amount, frail.BURDEN: float(burden)}
        content = _post(line, f"/models/{self.model}/predict", {"features": features})
        if content is None:
            return
        found = msgspec.json.decode(content, type=_Answered)
        self.answered += 1
        if found.prediction_id:
            label = {"prediction_id": found.prediction_id, "label": int(amount > 0)}
            self._labels.append(label)


def _post(line: http.client.HTTPConnection, path: str, document: object) -> bytes | None:
    """The content of an answer, whatever it says; None if there was none."""
    try:
        body = msgspec.json.encode(document)
        line.request("POST", path, body, {"content-type": "application/json"})
        return line.getresponse().read()
    except (OSError, http.client.HTTPException):
        line.close()
        return None


def run(incidents: Sequence[Incident]) -> list[Relief]:
    """All of these at once, each to a model of :data:`ward.MODELS`.

    Raises:
        Unavailable: the installation did not start, or an incident came to no end.
    """
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder:
        home = Path(folder)
        beds = dict(zip(MODELS, incidents, strict=False))
        _register(home, list(beds))
        system = installation.start(home, _SETTINGS)
        try:
            return _Live(system, beds).happen()
        finally:
            system.stop()


class _Live:
    """Incidents in a running installation."""

    def __init__(self, system: Installation, beds: Mapping[str, Incident]) -> None:
        self._system = system
        self._streams = [_Stream(system.gateway_url, one, model) for model, one in beds.items()]
        self._deployments: dict[str, str] = {}
        self._called: dict[str, int] = {}

    def happen(self) -> list[Relief]:
        """Let traffic flow, begin, break, take back, and look what was found."""
        with ExitStack() as stack, self._system.client as client:
            for stream in self._streams:
                stack.enter_context(stream.flowing())
            self._until(lambda: all(one.answered for one in self._streams), "the first answers")
            clock.sleep(_BEFORE_SECONDS)
            self._begin(client)
            clock.sleep(_ROLLOUT_SECONDS)
            for stream in self._streams:
                stream.burdened = True
            clock.sleep(_NOTICED_SECONDS)
            self._take_back(client)
            self._until(lambda: len(self._ended()) == len(self._streams), "the findings")
            clock.sleep(1.0)
        return self._told()

    def _begin(self, client: Serinus) -> None:
        for stream in self._streams:
            model = stream.model
            self._deployments[model] = client.deploy(model, CHALLENGER, **_SPEC).id
        for id in self._deployments.values():
            self._until(partial(_runs, client, id), "a rollout")

    def _take_back(self, client: Serinus) -> None:
        for stream in self._streams:
            if stream.incident.cause == "upstream":
                self._called[stream.model] = clock.epoch_us()
                client.rollback(stream.model, reason="answers are harmed")

    def _ended(self) -> dict[str, Any]:
        table = schema.rollbacks
        found = self._read(select(table).where(table.c.ended_at.is_not(None)))
        return {row["model"]: row for row in found}

    def _read(self, query: Any) -> list[Any]:
        engine = open_engine(f"sqlite:///{self._system.home / 'serinus.db'}")
        try:
            with reading(engine) as connection:
                return list(connection.execute(query).mappings())
        finally:
            engine.dispose()

    def _told(self) -> list[Relief]:
        records = list(Reader(self._system.home / "ledger").scan())
        rows = self._ended()
        return [self._relief(one, rows[one.model], records) for one in self._streams]

    def _relief(self, stream: _Stream, row: Any, records: Sequence[Record]) -> Relief:
        gone = _gone(records, row["revision"])
        id = self._deployments[stream.model]
        own = [record for record in records if _is_of(record, id)]
        word = self._called.get(stream.model) or self._proven_at(id, own)
        bad = [record.event.at for record in own if _is_bad(record)]
        return Relief(
            stream.incident,
            str(row["state"]),
            str(row["steps"][-1]["reason"]),
            harm_ms=(gone - min(bad, default=gone)) / 1_000,
            word_ms=(gone - word) / 1_000,
            harmed=len(bad),
            harmed_after=sum(at > word for at in bad),
        )

    def _proven_at(self, id: str, own: list[Record]) -> int:
        """When the request came with which the evidence sufficed."""
        engine = open_engine(f"sqlite:///{self._system.home / 'serinus.db'}")
        try:
            with reading(engine) as connection:
                subject = deployments.get(connection, id)
        finally:
            engine.dispose()
        at = reaction.proven_at(subject, own)
        if at is None:
            raise Unavailable("the events do not prove what was decided", where=id)
        return at

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        while not holds():
            if clock.monotonic() > deadline:
                raise Unavailable(f"{what} did not come", where=str(self._system.log.name))
            clock.sleep(_LOOK_SECONDS)


def _runs(client: Serinus, deployment: str) -> bool:
    return client.deployment(deployment).deployment.phase == "running"


def _is_of(record: Record, deployment: str) -> bool:
    assignment = getattr(record.event, "assignment", None)
    return assignment is not None and assignment.deployment == deployment


def _is_bad(record: Record) -> bool:
    """Whether a request met a bad challenger: it failed, or brought along what harms."""
    event = record.event
    if not isinstance(event, Prediction | Failure) or event.assignment.arm is not Arm.CHALLENGER:
        return False
    return isinstance(event, Failure) or bool(event.fallback) or event.features[_BURDEN] != 0.0


def _gone(records: Sequence[Record], revision: int) -> int:
    """When the last worker had that revision or a later one, in microseconds since 1970."""
    first: dict[str, int] = {}
    for record in records:
        event = record.event
        if isinstance(event, WorkerStatus) and event.revision >= revision:
            first.setdefault(event.worker, event.at)
    if len(first) < _WORKERS:
        raise Unavailable(f"only {len(first)} workers told of revision {revision}")
    return max(first.values())


def _register(home: Path, models: Sequence[str]) -> None:
    """A champion that bears what a challenger does not, of each model."""
    app = App(settings.load({}, home=home)[0])
    try:
        for version, robust in ((CHAMPION, True), (CHALLENGER, False)):
            saved = home / "models" / version
            folders.save(Frail(robust=robust), _manifest(models[0]), saved)
            for model in models:
                app.registry.register(_candidate(saved, model, version))
        for model in models:
            for stage in (Stage.STAGING, Stage.PRODUCTION):
                app.registry.transition(None, model, CHAMPION, stage, actor="chaos", reason="")
    finally:
        app.registry.close()
        app.engine.dispose()


def _manifest(model: str) -> Manifest:
    rows = pd.DataFrame({frail.AMOUNT: [1.0, -1.0], frail.BURDEN: [0.0, 0.0]})
    classes = folders.classes_of(Frail())
    return Manifest(model, "classification", folders.inputs_of(rows), "is_fraud", classes)


def _candidate(saved: Path, model: str, version: str) -> Candidate:
    manifest = _manifest(model)
    folder = saved.with_name(f"{model}-{version}")
    shutil.copytree(saved, folder)
    folders.write_manifest(folder, manifest)
    return Candidate(
        uri=str(folder),
        manifest=manifest,
        model_type="classification",
        version=version,
        metrics={"accuracy": 0.95},
    )
