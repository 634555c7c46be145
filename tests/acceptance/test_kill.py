"""kill -9 in the middle of a canary: the same verdict, and nothing acknowledged is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from serinus import clock
from serinus.client import Serinus
from serinus.client.types import Deployment, DeploymentStatus
from serinus.demo import installation, rows
from serinus.demo.installation import Installation
from serinus.demo.traffic import Traffic
from serinus.errors import Unavailable
from serinus.ledger.opening import open_reader
from serinus.stress import accounts, strikes

MODEL = "fraud"
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A whole installation with three trained versions, the first of them in production."""
    home = tmp_path_factory.mktemp("kill")
    dealt = rows.prepare(None, None)
    good = rows.write(dealt.training, home / "good.csv")
    tidied = rows.write(dealt.tidied_training(), home / "tidied.csv")
    running = installation.start(home)
    try:
        with running.client as client:
            for data, algorithm in (
                (good, "logistic_regression"),
                (good, "logistic_regression"),
                (tidied, "logistic_regression"),
            ):
                job = client.train(str(data), MODEL, target="target", algorithm=algorithm)
                while client.job(job.id).finished_at is None:
                    clock.sleep(0.2)
                assert client.job(job.id).state == "succeeded", client.job(job.id).error
            first = client.deploy(MODEL, "1.0.0")
            client.wait_for(first.id, timeout=30)
        yield running
    finally:
        running.stop()


def canary(client: Serinus, version: str) -> Deployment:
    # Killed processes come back cold, on a busy machine: what that costs is not the model's.
    return client.deploy(
        MODEL, version, soak_seconds=0.5, label_window_seconds=20.0, latency_slack_ms=200.0
    )


def missing(system: Installation, acknowledged: list[str]) -> set[str]:
    """Acknowledged predictions that the ledger does not have."""
    records = open_reader(system.home / "ledger").scan()
    return accounts.missing(acknowledged, accounts.balance(records))


def test_canary_is_promoted_though_controller_and_gateway_are_killed(system: Installation) -> None:
    dealt = rows.prepare(None, None)
    traffic = Traffic(system.gateway_url, MODEL, dealt.live, rate=250, label_delay=0.2)
    traffic.start()
    killed: list[str] = []

    def strike(status: DeploymentStatus) -> None:
        deployment = status.deployment
        if not killed and deployment.phase == "running" and status.counts.requests["shadow"] > 100:
            assert strikes.strike(system, "control")
            killed.append("control")
        if len(killed) == 1 and deployment.step >= 1:
            # Its workers end with it, whether they are killed or not.
            strikes.strike(system, "gateway worker")
            assert strikes.strike(system, "gateway")
            killed.append("gateway")

    try:
        with system.client as client:
            deployment = canary(client, "1.0.1")
            ended = follow(client, deployment.id, strike)
            assert killed == ["control", "gateway"]
            assert ended.phase == "succeeded", ended.reason
            steps = [
                move.step for move in client.history(deployment.id) if move.to_phase == "running"
            ]
            assert steps == [0, 1, 2, 3]
            status = client.deployment(deployment.id)
    finally:
        tally = traffic.stop()
    assert missing(system, tally.acknowledged) == set()
    assert status.counts.failures["challenger"] == 0


def test_broken_canary_is_taken_back_though_the_controller_is_killed(system: Installation) -> None:
    dealt = rows.prepare(None, None)
    traffic = Traffic(system.gateway_url, MODEL, dealt.live, rate=250, label_delay=1.0)
    traffic.start()
    killed: list[str] = []

    def strike(status: DeploymentStatus) -> None:
        if not killed and status.deployment.phase == "running":
            assert strikes.strike(system, "control")
            killed.append("control")

    try:
        with system.client as client:
            ended = follow(client, canary(client, "1.1.0").id, strike)
            assert killed == ["control"]
            assert ended.phase == "rolled_back", ended.reason
            champion = client.model(MODEL).champion
    finally:
        tally = traffic.stop()
    assert champion != "1.1.0"
    assert missing(system, tally.acknowledged) == set()
    assert "1.1.0" not in tally.versions


def follow(client: Serinus, id: str, strike: Callable[[DeploymentStatus], None]) -> Deployment:
    """Look at a deployment until it ends; the control plane may be away meanwhile."""
    deadline = clock.monotonic() + 100
    while clock.monotonic() < deadline:
        try:
            status = client.deployment(id)
        except Unavailable:  # it was killed and comes back
            clock.sleep(0.2)
            continue
        strike(status)
        if not status.deployment.live:
            return status.deployment
        clock.sleep(0.1)
    raise AssertionError(f"still {status.deployment.phase}: {status.deployment.reason}")
