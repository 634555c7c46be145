"""Peers made and started: an environment each, a model of its own making, answers checked."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from serinus.bench import launch, load, recipes
from serinus.bench.peers.types import Peer, Place
from serinus.bench.turns import Pace
from serinus.errors import Unavailable
from serinus.registry import environments
from serinus.registry.needs import Wanted

PROGRAMS = Path(__file__).with_name("programs")
PREPARE_SECONDS = 300.0
_CHECKED = 64


def install(peer: Peer, home: Path, tell: Callable[[str], None]) -> Path:
    """The folder with the programs of a peer's environment, made under ``home`` unless it is there.

    Raises:
        InvalidInput: its packages cannot be installed; with the installer's last lines.
    """
    version = ".".join(platform.python_version_tuple()[:2])
    made = environments.ensure(Wanted(version, peer.requirements), home, tell)
    return Path(made.python).parent


def fit(peer: Peer, programs: Path, kind: str, folder: Path) -> None:
    """Lay all in a folder that a peer needs to serve a kind of model.

    Raises:
        Unavailable: the model cannot be made with the peer's packages.
    """
    python = str(programs / "python")
    options = ["--named"] if peer.is_named else []
    _run([python, "-P", recipes.__file__, kind, str(folder), *options], folder)
    if peer.prepare:
        _run([python, *peer.prepare], folder)
    if peer.program:
        shutil.copy(PROGRAMS / peer.program, folder)


@contextmanager
def serve(peer: Peer, programs: Path, folder: Path, core: int) -> Iterator[launch.Running]:
    """A peer at work with what ``fit`` laid into a folder.

    Raises:
        Unavailable: it did not start.
    """

    def command(port: int) -> list[str]:
        place = Place(programs, port)
        for name, content in peer.settings(place).items():
            (folder / name).write_bytes(msgspec.json.encode(content))
        return list(peer.command(place))

    environment = {
        # It finds its own programs first; what this process was told is none of its business.
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Nobody is told of a measurement.
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "ORT_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
    }
    with launch.server(
        command, (core,), ready=peer.ready, folder=folder, environment=environment
    ) as running:
        yield running


def agree(peer: Peer, port: int, expected: list[int]) -> None:
    """See that a peer answers the first rows that are asked as it should.

    Raises:
        Unavailable: it does not.
    """
    rows = recipes.asked()[:_CHECKED].tolist()
    url = f"http://127.0.0.1:{port}{peer.path}"
    with httpx.Client(timeout=30, trust_env=False) as client:
        for index, (row, wanted) in enumerate(zip(rows, expected, strict=False)):
            answered = client.post(url, json=peer.request(row))
            if answered.status_code != 200 or peer.answer(answered.json()) != wanted:
                raise Unavailable(
                    f"{peer.name} answers row {index} with {answered.text[:200]!r}, not {wanted}",
                    where=f"{peer.path} (status {answered.status_code})",
                )


def order(peer: Peer, port: int, pace: Pace) -> load.Order:
    """What a peer is asked in its turn."""
    bodies = tuple(msgspec.json.encode(peer.request(row)) for row in recipes.asked().tolist())
    return load.Order(port, peer.path, bodies, pace.connections, pace.seconds)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, timeout=PREPARE_SECONDS, check=False
    )
    if done.returncode != 0:
        raise Unavailable(
            "the model cannot be made with the peer's packages",
            where=" ".join(command[:3]),
            faults=[done.stderr.decode(errors="replace")[-2_000:]],
        )
