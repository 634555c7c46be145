"""What happens in the demo, chapter by chapter; each chapter only uses what any user can call."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from serinus import clock
from serinus.client import Serinus, monitoring
from serinus.client.jobs import Job
from serinus.client.types import Deployment, DeploymentStatus
from serinus.demo import installation, rows
from serinus.demo.installation import Installation
from serinus.demo.rows import Rows
from serinus.demo.traffic import Traffic
from serinus.errors import Unavailable
from serinus.ledger import ids
from serinus.ledger.opening import open_reader
from serinus.wire import Prediction

MODEL = "demo"
RATE = 300.0
LABEL_DELAY = 0.5
FIRST_ALGORITHM = "decision_tree"
BETTER_ALGORITHM = "auto"
JOB_SECONDS = 90.0
ROLLOUT_SECONDS = 120.0
DRIFT_SECONDS = 60.0
# Windows the champion must have seen before the world changes, or the alarm is not calibrated.
CALM_WINDOWS = 60
MOST_WINDOWS = 1_000
SOAK_SECONDS = 2.0
# A better model may be a slower one, and here all of it shares one machine with its own training.
LATENCY_SLACK_MS = 100.0

Report = Callable[[str], None]


@dataclass
class DemoResult:
    """What the demo came to; ``verdicts`` holds by version how its deployment ended and why."""

    promoted: bool = False
    rolled_back: bool = False
    drift_alarms_before_shift: int = 0
    drift_found_after_windows: int | None = None
    retrained: bool = False
    requests: int = 0
    dropped_requests: int = 0
    acknowledged: int = 0
    in_ledger: int = 0
    requests_to_rollback: int | None = None
    seconds: float = 0.0
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    home: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything happened that the demo is about, and nothing was lost."""
        return (
            self.promoted
            and self.rolled_back
            and self.retrained
            and self.dropped_requests == 0
            and self.in_ledger == self.acknowledged
        )

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON."""
        return {**vars(self), "complete": self.complete}


def run(*, data: str | None, target: str | None, keep: Path | None, report: Report) -> DemoResult:
    """Take a model from data to production, through a canary, a rollback, drift and retraining.

    Args:
        data: a CSV or Parquet file, or a bundled set; None is the breast cancer set.
        target: the column to predict.
        keep: folder for all state, kept afterwards; None is a temporary one.
        report: told one line at a time.

    Raises:
        InvalidInput: the data cannot be used. Unavailable: the system did not come up.
    """
    started = clock.monotonic()
    dealt = rows.prepare(data, target)
    home = keep or Path(tempfile.mkdtemp(prefix="serinus-demo-"))
    result = DemoResult(home=str(home) if keep else "")
    try:
        report(f"Starting the whole system in {home} ...")
        system = installation.start(home)
        try:
            with system.client as client:
                _Story(system, client, dealt, result, report).tell()
        finally:
            system.stop()
    finally:
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)
    result.seconds = round(clock.monotonic() - started, 1)
    return result


class _Story:
    """The chapters share the running system, its traffic and the result."""

    def __init__(
        self,
        system: Installation,
        client: Serinus,
        dealt: Rows,
        result: DemoResult,
        report: Report,
    ) -> None:
        self.system = system
        self.client = client
        self.rows = dealt
        self.result = result
        self.report = report
        self.traffic = Traffic(
            system.gateway_url, MODEL, dealt.live, rate=RATE, label_delay=LABEL_DELAY
        )

    def tell(self) -> None:
        """All chapters in their order; a chapter that does not end well is told as it is."""
        self.report(f"Dashboard: {self.system.control_url}   gateway: {self.system.gateway_url}")
        self.first_version()
        self.traffic.start()
        try:
            self.better_version()
            self.broken_version()
            self.drift_and_retraining()
        finally:
            tally = self.traffic.stop()
            self.result.requests = tally.requests
            self.result.dropped_requests = tally.dropped
            self.result.acknowledged = len(tally.acknowledged)
        self.count_ledger(tally.acknowledged)

    # -------------------------------------------------------------- chapters

    def first_version(self) -> None:
        """Train the first version and give it all traffic: there is nothing to compare it with."""
        self.report("\n1. A first version, from data to production")
        version = self._train("first.csv", FIRST_ALGORITHM)
        ended = self._deploy(version)
        self.report(f"   {version} serves all traffic. {ended.reason}")

    def better_version(self) -> None:
        """Train a better one and bring it through the canary."""
        self.report(f"\n2. A better version, step by step (live traffic: {RATE:g} requests/s)")
        version = self._train("first.csv", BETTER_ALGORITHM)
        ended = self._deploy(version)
        self.result.promoted = ended.phase in ("soaking", "succeeded")
        self._conclude(version, ended)

    def broken_version(self) -> None:
        """Train one whose inputs were tidied outside the model, and see it taken back."""
        self.report("\n3. A version that passes every offline gate and is wrong in serving")
        self.report("   (its inputs were scaled and tidied in the file, not in the model)")
        version = self._train("tidied.csv", BETTER_ALGORITHM)
        ended = self._deploy(version)
        self.result.rolled_back = ended.phase == "rolled_back"
        if self.result.rolled_back:
            looks = list(self.client.verdicts(ended.id))
            self.result.requests_to_rollback = looks[-1].verdict.requests if looks else None
        self._conclude(version, ended)

    def drift_and_retraining(self) -> None:
        """Shift the inputs; the rest must happen by itself."""
        self.report("\n4. The world changes")
        self._wait(
            lambda: len(self._windows()) >= CALM_WINDOWS,
            DRIFT_SECONDS,
            f"calibrating the drift alarm on {CALM_WINDOWS} windows of live traffic",
        )
        # Alarms of every champion so far, not only of the one that the shift will meet.
        self.result.drift_alarms_before_shift = sum(
            window["alarm"] for window in self._all_windows()
        )
        self.traffic.switch(self.rows.shifted)
        shift = clock.now()
        self.report("   from here on the inputs are shifted")
        if not self._wait(lambda: self._alarm(shift) is not None, DRIFT_SECONDS, ""):
            self.report("   no drift was found in time")
            return
        self.result.drift_found_after_windows = self._alarm(shift)
        recommendation = self.client.recommendation(MODEL)
        self.report(
            f"   drift found {self.result.drift_found_after_windows} windows after the shift: "
            f"{recommendation.action}"
        )
        for reason in recommendation.reasons:
            self.report(f"   - {reason}")
        self._retrained()

    def count_ledger(self, acknowledged: list[str]) -> None:
        """Hold every answer that a client got against the ledger on disk."""
        reader = open_reader(self.system.home / "ledger")
        kept = {
            ids.encode(record.id)
            for record in reader.scan(None, None)
            if isinstance(record.event, Prediction)
        }
        self.result.in_ledger = sum(answer in kept for answer in acknowledged)
        self.report(
            f"\n{self.result.requests:,} requests, {self.result.dropped_requests} dropped; "
            f"{self.result.in_ledger:,} of {self.result.acknowledged:,} acknowledged predictions "
            "are in the ledger."
        )

    # -------------------------------------------------------------- pieces of chapters

    def _train(self, name: str, algorithm: str) -> str:
        path = self.system.home / name
        if not path.exists():
            tidied = name == "tidied.csv"
            rows.write(self.rows.tidied_training() if tidied else self.rows.training, path)
        job = self.client.train(str(path), MODEL, target=self.rows.target, algorithm=algorithm)
        done = self._finish(job.id)
        if done.result is None:
            raise Unavailable(
                f"a training ended as {done.state}: {done.error}",
                where=f"job {done.id}",
                remedy=f"Look into {self.system.home / 'up.log'}.",
            )
        version = str(done.result["version"])
        found = self.client.version(MODEL, version)
        figures = ", ".join(
            f"{name} {found.metrics[name]:.3f}"
            for name in ("accuracy", "roc_auc", "log_loss", "r2", "mae")
            if name in found.metrics
        )
        gates = sum(gate.passed for gate in found.gates)
        self.report(f"   trained {MODEL} {version}: {figures}; {gates}/{len(found.gates)} gates")
        return version

    def _finish(self, job: str) -> Job:
        def over() -> bool:
            return self.client.job(job).finished_at is not None

        self._wait(over, JOB_SECONDS, "")
        return self.client.job(job)

    def _deploy(self, version: str) -> Deployment:
        deployment = self.client.deploy(
            MODEL,
            version,
            soak_seconds=SOAK_SECONDS,
            label_window_seconds=30.0,
            latency_slack_ms=LATENCY_SLACK_MS,
        )
        return self._follow(deployment.id)

    def _follow(self, id: str, *, settled: tuple[str, ...] = ()) -> Deployment:
        """Tell each step of a deployment until it has ended (or reached a settled phase)."""
        told = ""

        def tell(status: DeploymentStatus) -> None:
            nonlocal told
            at = status.deployment
            here = "loading" if at.phase == "pending" else at.position
            if here != told:
                told = here
                self.report(f"   {here}: {at.reason}")

        try:
            status = self.client.wait_for(
                id,
                until=lambda seen: not seen.deployment.live or seen.deployment.phase in settled,
                timeout=ROLLOUT_SECONDS,
                progress=tell,
            )
        except Unavailable:
            self.report(f"   undecided after {ROLLOUT_SECONDS:g} s; taken back by hand")
            return self.client.abort(id, reason="the demo does not wait longer")
        return status.deployment

    def _conclude(self, version: str, ended: Deployment) -> None:
        self.result.verdicts.append(
            {
                "version": version,
                "phase": ended.phase,
                "verdict": ended.verdict,
                "reason": self._reason(ended),
            }
        )
        self.report(f"   => {version} is {ended.phase.replace('_', ' ')}")

    def _reason(self, ended: Deployment) -> str:
        """Why it was promoted or rolled back; the end of a soak says less than its beginning."""
        telling = [
            move.reason
            for move in self.client.history(ended.id)
            if move.to_phase in ("soaking", "rolled_back", "inconclusive", "aborted")
        ]
        return telling[-1] if telling else ended.reason

    def _retrained(self) -> None:
        """Wait for the triggered training, then for its canary; nobody lends a hand."""
        known = {item["version"] for item in self.result.verdicts}

        def begun() -> Deployment | None:
            newest = next(iter(self.client.deployments(MODEL)), None)
            return newest if newest and newest.challenger not in known else None

        if not self._wait(lambda: begun() is not None, JOB_SECONDS, "waiting for the retraining"):
            self.report("   no retrained version came in time")
            for job in self.client.jobs("retrain"):
                self.report(f"   {job.id} {job.state} {job.progress}{job.error}")
            return
        deployment = begun()
        assert deployment is not None
        # What was trained on must not judge: other rows of the same changed world come now.
        self.traffic.switch(self.rows.after)
        version = self.client.version(MODEL, deployment.challenger)
        self.report(f"   retrained {MODEL} {version.version} on labelled live rows")
        ended = self._follow(deployment.id, settled=("soaking",))
        self.result.retrained = ended.phase in ("soaking", "succeeded")
        self._conclude(deployment.challenger, ended)

    def _windows(self) -> list[dict[str, Any]]:
        """The champion's monitoring windows, oldest first."""
        champion = self.client.model(MODEL).champion
        return [window for window in self._all_windows() if window["version"] == champion]

    def _all_windows(self) -> list[dict[str, Any]]:
        return self.client.run(monitoring.drift_history(MODEL, limit=MOST_WINDOWS)).items[::-1]

    def _alarm(self, shift: datetime) -> int | None:
        """Which window since the shift alarmed, counted from 1; None: none yet."""
        since = [
            window
            for window in self._windows()
            if datetime.fromisoformat(window["closed_at"]) > shift
        ]
        alarms = (number for number, window in enumerate(since, start=1) if window["alarm"])
        return next(alarms, None)

    def _wait(self, until: Callable[[], bool], seconds: float, why: str) -> bool:
        if why:
            self.report(f"   {why} ...")
        deadline = clock.monotonic() + seconds
        while not until():
            if clock.monotonic() > deadline:
                return False
            clock.sleep(0.2)
        return True
