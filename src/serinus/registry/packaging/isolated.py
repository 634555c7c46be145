"""A version that is to run in a process of its own: proven there, and written down so."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

from serinus import clock, wire
from serinus.errors import InvalidInput
from serinus.registry import environments, needs
from serinus.registry.environments import Tell
from serinus.registry.packaging import packager, proof
from serinus.serving.runtimes import artifacts, probes

_ROWS = 1_000


def isolate(
    uri: str, manifest: wire.Manifest, home: Path, tell: Tell, *, with_environment: bool
) -> wire.Package:
    """Have a version served by a process of its own from its next load on.

    Args:
        uri: its folder, or an address that MLflow can reach.
        manifest: of the version.
        home: the state folder.
        tell: is told the progress in words.
        with_environment: with the packages that its model asks for, instead of the gateway's.

    Raises:
        InvalidInput: the environment cannot be made, or the version does not answer its example
            in the process; it is served as before.
        NotFound: the folder cannot be reached.
    """
    begun = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="serinus-package-") as temporary:
        folder = packager.local_copy(uri, Path(temporary))
        for line in _differences(folder):
            tell(f"It asks for another: {line}")
        speed: dict[str, float] = {}

        def prove(python: str) -> None:
            runtime = artifacts.open_process(folder, manifest, python)
            try:
                speed.update(proof.microseconds(runtime, probes.probe_rows(manifest, _ROWS)))
            finally:
                runtime.close()

        python, version, size = "", platform.python_version(), 0
        if with_environment:
            made = environments.prepare(folder, home, tell, prove)
            python, version, size = made.python, made.version, made.bytes
        else:
            prove(python)
        seconds = round(clock.monotonic() - begun, 3)
        attempt = wire.Attempt("process", "used", seconds, size, original_us=speed)
        package = wire.Package(form="process", attempts=(attempt,), python=python)
        packager.install(uri, folder, None, package)
    tell(f"{manifest.model} runs in a process of its own with Python {version}")
    return package


def _differences(folder: Path) -> list[str]:
    try:
        asked = needs.wanted(folder)
    except InvalidInput:
        return []
    return needs.unmet(asked, platform.python_version(), needs.installed())
