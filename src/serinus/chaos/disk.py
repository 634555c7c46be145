"""``serinus chaos disk``: the disk of the home is full, and after a while it is not any more."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serinus import clock
from serinus.client import Serinus
from serinus.demo import rows
from serinus.demo.installation import Installation
from serinus.demo.traffic import Tally, Traffic
from serinus.errors import SerinusError, Unavailable
from serinus.ledger.opening import open_reader
from serinus.stress import accounts, kill, strikes
from serinus.stress.kill import MODEL
from serinus.stress.types import Finding, at_least, at_most

STATEMENT = (
    "With a full disk the control plane keeps trying and says so, the gateway does as its setting "
    "says, and with space again all goes on: nothing acknowledged is lost or counted twice."
)
MISSING = "acknowledged predictions missing from the ledger"
TWICE = "requests counted twice in evidence"
LACKING = "recorded requests that the evidence does not count"
UNEXACT = "replays that are not exact"
SILENT = "fills of which the control plane's health did not tell"
UNASKED = "fills in which the gateway did otherwise than its setting says"
DIED = "processes that died"
SLOWEST = "slowest return after there was space again"
FILLS = "fills"
ZERO = (MISSING, TWICE, LACKING, UNEXACT, SILENT, UNASKED, DIED)
BACK_SECONDS = 5.0
_BYTES = 400_000_000
_TOLD_SECONDS = 15.0
_PATIENCE_SECONDS = 60.0
_LABEL_DELAY = 0.3
_LOOK_SECONDS = 0.1
_CANARY = {
    "shares": [0.3],
    "shadow": False,
    "approvals": True,
    "latency_slack_ms": 1_000.0,
    "label_window_seconds": 600.0,
}


@dataclass
class _Fills:
    """What happened while the disk was full, and after."""

    faults: dict[str, float] = field(default_factory=lambda: dict.fromkeys(ZERO, 0.0))
    returns: list[float] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def notes(self) -> dict[str, float]:
        """Further figures."""
        return {
            "answered": len(self.tally.acknowledged),
            "refused": self.tally.dropped,
            "slowest return": max(self.returns),
        }


def run(*, fills: int = 3, rate: float = 100.0, seed: int = 0) -> Finding:
    """Fill the disk of a live installation and free it again, under both settings of the gateway.

    Args:
        fills: how often under each setting.
        rate: requests a second.
        seed: is only told: nothing here is left to chance.

    Raises:
        Unavailable: this process may not make a small disk, or something did not start.
    """
    started = clock.monotonic()
    dealt = rows.prepare(None, None)
    made = {setting: _suffer(setting, dealt, fills, rate) for setting in ("refuse", "answer")}
    returns = [seconds for one in made.values() for seconds in one.returns]
    return Finding(
        name="disk",
        statement=STATEMENT,
        bars=(
            *(at_most(name, sum(one.faults[name] for one in made.values()), 0) for name in ZERO),
            at_most(SLOWEST, max(returns), BACK_SECONDS, "s"),
            at_least(FILLS, len(returns), 2 * fills),
        ),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={setting: one.notes() for setting, one in made.items()},
    )


def _suffer(setting: str, dealt: rows.Rows, fills: int, rate: float) -> _Fills:
    """One installation under one setting of its gateway."""
    with _small_disk() as folder:
        home = folder / "home"
        home.mkdir()
        words = f'ledger_full = "{setting}"\ngateway_workers = 2\n'
        with kill.running(home, dealt, words) as system:
            before = {part: strikes.find(system, part) for part in strikes.PARTS}
            traffic = Traffic(
                system.gateway_url, MODEL, dealt.live, rate=rate, label_delay=_LABEL_DELAY
            )
            with system.client as client:
                client.deploy(MODEL, "1.0.1", **_CANARY)
            traffic.start()
            try:
                made = _fill_often(system, traffic, folder, fills, setting)
            finally:
                made_of = traffic.stop()
            made.tally = made_of
            after = {part: strikes.find(system, part) for part in strikes.PARTS}
            made.faults[DIED] = float(before != after)
            made.faults |= _audit(system, made_of.acknowledged, lost=setting == "answer")
    return made


def _fill_often(
    system: Installation, traffic: Traffic, folder: Path, fills: int, setting: str
) -> _Fills:
    made = _Fills()
    ballast = folder / "ballast"
    for _ in range(fills):
        clock.sleep(1.0)
        _fill(ballast)
        with system.client as client:
            made.faults[SILENT] += not _comes(lambda: not _is_well(client), _TOLD_SECONDS)
        refused, asked = traffic.tally.dropped, traffic.tally.requests
        clock.sleep(1.0)
        refused, asked = traffic.tally.dropped - refused, traffic.tally.requests - asked
        # A few may still find room in a block that has begun.
        is_refused = refused > 0
        made.faults[UNASKED] += asked == 0 or is_refused is not (setting == "refuse")
        ballast.unlink()
        freed = clock.monotonic()
        if not _gets_well(system):
            raise Unavailable("the installation did not get over a full disk", where=str(folder))
        made.returns.append(clock.monotonic() - freed)
    return made


def _audit(system: Installation, acknowledged: list[str], *, lost: bool) -> dict[str, float]:
    """The books of a run; ``lost`` says that answers without an event were asked for."""
    books = accounts.balance(open_reader(system.home / "ledger").scan(MODEL))
    with system.client as client:
        id = next(found.id for found in client.deployments(MODEL) if found.live)
        recorded = books.requests.get(id, {})

        def counted() -> dict[str, int]:
            return dict(client.deployment(id).counts.requests)

        _comes(lambda: not accounts.excess(recorded, counted()), _TOLD_SECONDS)
        return {
            MISSING: 0 if lost else len(accounts.missing(acknowledged, books)),
            TWICE: accounts.excess(counted(), recorded),
            LACKING: accounts.excess(recorded, counted()),
            UNEXACT: not client.replay(id).exact,
        }


def _gets_well(system: Installation) -> bool:
    with system.client as client:
        return _comes(lambda: _is_well(client), _PATIENCE_SECONDS)


def _is_well(client: Serinus) -> bool:
    try:
        return client.system_health().status == "ok"
    except SerinusError:
        return False


def _comes(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something holds before so many seconds are over."""
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline:
        if holds():
            return True
        clock.sleep(_LOOK_SECONDS)
    return False


def _fill(path: Path) -> None:
    """Write until nothing more goes in, to the last byte."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        size = 1 << 20
        while size:
            try:
                os.write(descriptor, b"\0" * size)
            except OSError:
                size >>= 1
    finally:
        os.close(descriptor)


@contextmanager
def _small_disk() -> Iterator[Path]:
    """A disk in memory that is soon full.

    Raises:
        Unavailable: only root may make one.
    """
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-disk-") as folder:
        mount = shutil.which("mount")
        words = [mount or "mount", "-t", "tmpfs", "-o", f"size={_BYTES}", "serinus-chaos", folder]
        if mount is None or os.geteuid() != 0 or subprocess.run(words, check=False).returncode:
            raise Unavailable(
                "a small disk cannot be made here",
                remedy="Run this proof as root, on Linux: it mounts a tmpfs of its own.",
            )
        try:
            yield Path(folder)
        finally:
            subprocess.run([shutil.which("umount") or "umount", "-l", folder], check=False)
