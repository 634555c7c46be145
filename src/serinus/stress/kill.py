"""``serinus stress kill``: whatever dies, nothing acknowledged is lost or counted twice."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from serinus import clock
from serinus.client import Serinus
from serinus.client.types import DeploymentStatus
from serinus.delivery.records import journal
from serinus.demo import installation, rows
from serinus.demo.installation import Installation
from serinus.demo.traffic import Tally, Traffic
from serinus.errors import SerinusError, Unavailable
from serinus.ledger.opening import open_reader
from serinus.ledger.types import Offset
from serinus.proof.types import Bar
from serinus.store.engine import open_engine, reading
from serinus.stress import accounts, strikes
from serinus.stress.accounts import Books
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "Workers, gateway, control plane and ledger consumer are killed at random under load: every "
    "acknowledged prediction is in the ledger, and in the evidence exactly once."
)
MISSING = "acknowledged predictions missing from the ledger"
UNLABELLED = "accepted labels missing from the ledger"
UNASKED = "predictions in the ledger that nobody asked for"
TWICE = "requests counted twice in evidence"
LABELS_TWICE = "labels counted twice in evidence"
LACKING = "recorded requests that the evidence does not count"
UNEXACT = "deployments whose replay is not exact"
KILLS = "kills"

MODEL = "fraud"
_ALGORITHM = "logistic_regression"
_SETTINGS = """\
gateway_workers = 2
ledger_segment_bytes = 1000000
"""
# The canary is to go on until the end: no gate lets it past its only step by itself.
_CANARY = {
    "shares": [0.3],
    "shadow": False,
    "approvals": True,
    "latency_slack_ms": 1_000.0,
    "label_window_seconds": 30.0,
}
# One that has enough evidence waits for its approval, and goes on counting.
_COUNTING = ("running", "paused")
_LABEL_DELAY = 0.3
_PATIENCE_SECONDS = 90.0
_LOOK_SECONDS = 0.1


@dataclass
class _Run:
    """One installation and what is done to it."""

    system: Installation
    chance: random.Random
    pause: tuple[float, float]
    killed: Counter[str] = field(default_factory=Counter)
    processes: int = 0

    def assault(self, kills: int) -> None:
        """Kill a random part again and again, and see that what nobody revives is started."""
        while sum(self.killed.values()) < kills:
            [part] = self.chance.choices(strikes.PARTS, strikes.WEIGHTS)
            died = strikes.strike(self.system, part, self.chance)
            self.processes += died
            self.killed[part] += died > 0
            if part in ("up", "everything"):
                self.system.process.wait()
                strikes.revive(self.system)
                self.keep_canary()
            clock.sleep(self.chance.uniform(*self.pause))

    def keep_canary(self) -> None:
        """See to it that a canary runs: an unlucky verdict may have ended the last one."""
        with self.system.client as client:
            until(lambda: _has_canary(client), "a running canary")

    def end_canary(self) -> None:
        """End the canary that runs: one that has ended is to have its requests counted too."""
        with self.system.client as client:
            until(lambda: _has_no_canary(client), "the end of a canary")

    def settle(self) -> None:
        """Wait until everything that was killed is back."""
        until(lambda: strikes.answers(self.system), "the installation")
        self.keep_canary()


@dataclass(frozen=True)
class _Audit:
    """The ledger's books, and what the control plane has of them.

    ``due`` are the requests that each deployment must count, ``unexact`` is how many replays are
    not exact.
    """

    books: Books
    due: Mapping[str, Mapping[str, int]]
    deployments: list[DeploymentStatus]
    unexact: int


def run(
    *,
    kills: int = 50,
    rate: float = 300.0,
    pause: tuple[float, float] = (0.5, 6.0),
    seed: int = 0,
) -> Finding:
    """Run a whole installation under load, kill its parts at random, and balance the books.

    Args:
        kills: how many.
        rate: requests a second.
        pause: least and most seconds from one kill to the next.
        seed: of what is killed when.

    Raises:
        Unavailable: the installation did not start, or did not come back.
    """
    started = clock.monotonic()
    dealt = rows.prepare(None, None)
    with tempfile.TemporaryDirectory(prefix="serinus-stress-") as folder:
        home = Path(folder)
        with running(home, dealt) as system:
            attack = _Run(system, random.Random(seed), pause)
            traffic = Traffic(
                system.gateway_url, MODEL, dealt.live, rate=rate, label_delay=_LABEL_DELAY
            )
            attack.keep_canary()
            traffic.start()
            try:
                clock.sleep(1.0)
                attack.assault(kills)
                attack.settle()
                clock.sleep(1.0)
                attack.end_canary()
                attack.keep_canary()
                clock.sleep(1.0)
            finally:
                tally = traffic.stop()
            audit = _audit(system)
    return Finding(
        name="kill",
        statement=STATEMENT,
        bars=_bars(kills, attack, tally, audit),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={
            "kills": {part: float(attack.killed[part]) for part in strikes.PARTS},
            "requests": {"acknowledged": len(tally.acknowledged), "not": tally.dropped},
            "deployments": {
                "ended": float(sum(not one.deployment.live for one in audit.deployments)),
                "live": float(sum(one.deployment.live for one in audit.deployments)),
            },
        },
        faults=tuple(
            f"missing: {id}" for id in sorted(accounts.missing(tally.acknowledged, audit.books))
        ),
    )


@contextmanager
def running(
    home: Path,
    dealt: rows.Rows,
    settings: str = _SETTINGS,
    *,
    entry: Sequence[str] = ("-m", "serinus"),
) -> Iterator[Installation]:
    """A whole installation with two equal versions, the first of them in production.

    Args:
        home: its folder.
        dealt: the rows; those for training are trained on.
        settings: further lines of its settings file.
        entry: what Python is to run; another than Serinus itself does something to it first.
    """
    data = rows.write(dealt.training, home / "rows.csv")
    system = installation.start(home, settings, entry=entry)
    try:
        with system.client as client:
            for _ in range(2):
                _train(client, data, dealt.target)
            client.wait_for(client.deploy(MODEL, "1.0.0").id, timeout=_PATIENCE_SECONDS)
        yield system
    finally:
        system.stop()


def _train(client: Serinus, data: Path, target: str) -> None:
    """Make one more version.

    Raises:
        Unavailable: the job ended without one, and why.
    """
    job = client.train(str(data), MODEL, target=target, algorithm=_ALGORITHM)
    until(partial(_is_over, client, job.id), "the end of a training")
    ended = client.job(job.id)
    if ended.state != "succeeded":
        raise Unavailable(
            f"no version was trained ({ended.error or ended.state})",
            where=f"job {ended.id}, attempt {ended.attempt} of {ended.max_attempts}",
            remedy="Look at the log of the worker; the proof begins with two versions.",
        )


def _is_over(client: Serinus, job: str) -> bool:
    return client.job(job).finished_at is not None


def _has_canary(client: Serinus) -> bool:
    """Whether a canary runs; begins one if none is live."""
    live = next((found for found in client.deployments(MODEL) if found.live), None)
    if live is None:
        client.deploy(MODEL, "1.0.1", **_CANARY)
        return False
    return live.phase in _COUNTING


def _has_no_canary(client: Serinus) -> bool:
    """Whether no canary runs; ends the one that does."""
    live = next((found for found in client.deployments(MODEL) if found.live), None)
    if live is not None:
        client.abort(live.id, reason="the proof has seen enough of it")
    return live is None


def _audit(system: Installation) -> _Audit:
    reader = open_reader(system.home / "ledger")
    books = accounts.balance(reader.scan(MODEL))
    with system.client as client:

        def statuses() -> list[DeploymentStatus]:
            return [client.deployment(found.id) for found in list(client.deployments(MODEL))]

        found = statuses()
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        # What the consumer has not read yet, it will; what it never reads is told.
        while _lacking(found, books.requests) and clock.monotonic() < deadline:
            clock.sleep(_LOOK_SECONDS)
            found = statuses()
        # A moment more, in which what was counted once could be counted again.
        clock.sleep(1.0)
        found = statuses()
        replayed = [client.replay(status.deployment.id) for status in found]
    ended = [status.deployment.id for status in found if not status.deployment.live]
    due = accounts.learnt(reader.scan(MODEL), _ends(system, ended))
    unexact = sum(not replay.exact for replay in replayed)
    return _Audit(books, {**books.requests, **due}, found, unexact)


def _ends(system: Installation, deployments: Iterable[str]) -> dict[str, dict[str, Offset]]:
    """How far each writer had been read when a deployment last learnt anything, by its journal."""
    engine = open_engine(f"sqlite:///{system.home / 'serinus.db'}")
    try:
        with reading(engine) as connection:
            return {
                deployment: {
                    span.writer: Offset(*span.end)
                    for fold in journal.folds(connection, deployment)
                    for span in fold.spans
                }
                for deployment in deployments
            }
    finally:
        engine.dispose()


def _lacking(
    deployments: Iterable[DeploymentStatus],
    due: Mapping[str, Mapping[str, int]],
    *,
    ended: bool = False,
) -> int:
    """Recorded requests that are in no evidence; what came behind its end no deployment learns.

    Args:
        deployments: to look at.
        due: the requests that each must count, by arm.
        ended: whether those that have ended are looked at, too.
    """
    return sum(
        accounts.excess(due.get(status.deployment.id, {}), status.counts.requests)
        for status in deployments
        if ended or status.deployment.live
    )


def _bars(kills: int, attack: _Run, tally: Tally, audit: _Audit) -> tuple[Bar, ...]:
    books, deployments = audit.books, audit.deployments
    twice = sum(
        accounts.excess(status.counts.requests, books.requests.get(status.deployment.id, {}))
        for status in deployments
    )
    labels_twice = sum(
        max(0, status.counts.told.get("labels", 0) - books.told.get(status.deployment.id, 0))
        for status in deployments
    )
    counted = sum(sum(status.counts.requests.values()) for status in deployments)
    of_ended = sum(
        sum(status.counts.requests.values()) for status in deployments if not status.deployment.live
    )
    return (
        at_most(MISSING, len(accounts.missing(tally.acknowledged, books)), 0),
        at_most(UNLABELLED, len(accounts.unlabelled(tally.labelled, books)), 0),
        at_most(UNASKED, max(0, len(books.predictions) - tally.requests), 0),
        at_most(TWICE, twice, 0),
        at_most(LABELS_TWICE, labels_twice, 0),
        at_most(LACKING, _lacking(deployments, audit.due, ended=True), 0),
        at_most(UNEXACT, audit.unexact, 0),
        at_least(KILLS, sum(attack.killed.values()), kills),
        at_most("processes that were killed", attack.processes, None),
        at_least("acknowledged predictions", len(tally.acknowledged), 1),
        at_least("accepted labels", len(tally.labelled), 1),
        at_least("requests counted in evidence", counted, 1),
        at_least("of these by deployments that have ended", of_ended, 1),
    )


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something; that nobody answers meanwhile is no answer."""
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    last = ""
    while clock.monotonic() < deadline:
        try:
            if holds():
                return
        except SerinusError as error:
            last = str(error)
        clock.sleep(_LOOK_SECONDS)
    raise Unavailable(f"{what} was not there after {_PATIENCE_SECONDS:g} s", faults=[last])
