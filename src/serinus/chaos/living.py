"""The live half of ``serinus chaos rollout``: rollouts under load while the control plane dies."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from serinus import clock
from serinus.chaos import control, course, record
from serinus.chaos.types import Note, Orders
from serinus.client import Serinus
from serinus.delivery.records import deployments
from serinus.delivery.types import Phase, Transition
from serinus.demo import rows
from serinus.demo.installation import Installation
from serinus.demo.traffic import Tally, Traffic
from serinus.errors import Unavailable
from serinus.store.engine import open_engine, reading
from serinus.stress import kill
from serinus.stress.kill import MODEL

_SETTINGS = """\
gateway_workers = 2
"""
_CANARY = {
    "shares": [0.1, 0.2, 0.35, 0.5],
    "min_requests": 200,
    "shadow": True,
    "soak_seconds": 2.0,
    "latency_slack_ms": 1_000.0,
    "label_window_seconds": 30.0,
}
_LABEL_DELAY = 0.3
_CALM_SECONDS = 1.0
# As many points as a transition has, about: any of them may be the one.
_PASSING = 14
_ROLLOUT_SECONDS = 300.0
_LOOK_SECONDS = 0.2


@dataclass
class Life:
    """What a whole installation went through.

    Attributes:
        tally: of the traffic.
        notes: of the control processes.
        rollouts: that ended, by phase.
        faults: what of their histories cannot be.
        transitions: of all of them.
        unexact: replays that are not exact.
        counted: requests in their evidence.
        worst_ms: the slowest look at a rollout while the control plane answered.
    """

    tally: Tally = field(default_factory=Tally)
    notes: list[Note] = field(default_factory=list)
    rollouts: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    transitions: int = 0
    unexact: int = 0
    counted: int = 0


def run(*, kills: int, rate: float, seed: int) -> Life:
    """Roll versions out until the control process was killed so often, then finish.

    Args:
        kills: how often, each time amid a transition.
        rate: requests a second.
        seed: of where.

    Raises:
        Unavailable: the installation did not start, or a rollout came to no end.
    """
    dealt = rows.prepare(None, None)
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-") as folder:
        home = Path(folder)
        orders = Orders(
            record=str(home / "record"),
            strike="transitions",
            most=kills,
            passing=_PASSING,
            seed=seed,
            calm_seconds=_CALM_SECONDS,
            armed=str(home / "armed"),
        )
        with kill.running(home, dealt, _SETTINGS, entry=control.entry(orders)) as system:
            life = Life()
            with _traffic(system, dealt, rate) as traffic:
                Path(orders.armed).touch()
                _roll_out(system, orders, kills)
                life.tally = traffic.tally
            life.notes = record.read(orders.record)
            _audit(system, life)
    return life


@contextmanager
def _traffic(system: Installation, dealt: rows.Rows, rate: float) -> Iterator[Traffic]:
    traffic = Traffic(system.gateway_url, MODEL, dealt.live, rate=rate, label_delay=_LABEL_DELAY)
    traffic.start()
    try:
        yield traffic
        clock.sleep(1.0)
    finally:
        traffic.stop()


def _roll_out(system: Installation, orders: Orders, kills: int) -> None:
    """One rollout after another, until enough were killed and the last one has ended."""
    deadline = clock.monotonic() + _ROLLOUT_SECONDS
    struck = 0
    with system.client as client:
        while True:
            before, struck = struck, len(record.strikes(record.read(orders.record)))
            if struck > before:
                deadline = clock.monotonic() + _ROLLOUT_SECONDS
            if struck >= kills:
                kill.until(partial(_has_ended, client), "the end of the last rollout")
                return
            if clock.monotonic() > deadline:
                raise Unavailable(
                    f"nothing moved for {_ROLLOUT_SECONDS:g} s",
                    where=str(system.log.name),
                )
            kill.until(partial(_begun, client), "a rollout")
            clock.sleep(_LOOK_SECONDS)


def _begun(client: Serinus) -> bool:
    """Whether a rollout runs; begins one of the version that is not in production if none does."""
    if _has_ended(client):
        champion = next(
            found.version for found in client.versions(MODEL) if found.stage == "Production"
        )
        client.deploy(MODEL, "1.0.1" if champion == "1.0.0" else "1.0.0", **_CANARY)
    return True


def _has_ended(client: Serinus) -> bool:
    return not any(found.live for found in client.deployments(MODEL))


def _audit(system: Installation, life: Life) -> None:
    with system.client as client:
        ids = [found.id for found in client.deployments(MODEL)]
        for id in ids:
            status = client.deployment(id)
            phase = status.deployment.phase
            life.rollouts[phase] = life.rollouts.get(phase, 0.0) + 1
            life.counted += sum(status.counts.requests.values())
            life.unexact += not client.replay(id).exact
    engine = open_engine(f"sqlite:///{system.home / 'serinus.db'}")
    try:
        for id in ids:
            with reading(engine) as connection:
                history = deployments.history(connection, id)
            life.transitions += len(history)
            life.faults += [f"{id}: {fault}" for fault in course.faults(history, [])]
            life.faults += [f"{id}: {fault}" for fault in _steps(history)]
    finally:
        engine.dispose()


def _steps(history: list[Transition]) -> list[str]:
    """Steps that were skipped or done twice, told by where each move led."""
    found = [item.step for item in history if item.to_phase is Phase.RUNNING]
    return [] if found == list(range(len(found))) else [f"the steps were {found}"]
