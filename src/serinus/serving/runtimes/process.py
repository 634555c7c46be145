"""A version in a process of its own, perhaps with an environment of its own.

What a model can do to its process, it does to its own only: if it does not answer in time, ends,
crashes or takes too much memory, its rows fail with the reason, the gateway goes on, and the
process is started again beside the traffic.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from serinus import clock
from serinus.errors import InvalidInput, SerinusError, Unavailable
from serinus.serving.runtimes import columns
from serinus.serving.runtimes.outcomes import ClassIndex, flat, numbers
from serinus.serving.runtimes.spawning import Spawned, is_own
from serinus.serving.runtimes.types import ProcessLimits
from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest

REASON_LENGTH = 200
_LOOK_SECONDS = 1.0

_log = logging.getLogger("serinus.serving")


class ProcessRuntime:
    """Any MLflow model, called in a process of its own.

    Args:
        manifest: of the version.
        folder: with ``MLmodel`` in it.
        python: the interpreter of its environment; empty for this process's own.
        limits: what the process may take.

    Raises:
        InvalidInput: the process cannot be started or the model cannot be loaded; with the last
            lines that it printed.
    """

    def __init__(
        self,
        manifest: Manifest,
        folder: Path,
        python: str = "",
        limits: ProcessLimits | None = None,
    ) -> None:
        self._manifest = manifest
        self._python = python or sys.executable
        self._limits = limits or ProcessLimits()
        self._packer = columns.RowPacker(manifest.inputs)
        self._classes = ClassIndex(manifest)
        self._order: Any = None
        self._task = columns.message(load_task(folder, manifest))
        self._closing = threading.Event()
        self._swap = threading.Lock()
        self._call = threading.Lock()
        self._is_starting = False
        self._next_look = 0.0
        self._failures = 0
        self._why = ""
        self._born = clock.monotonic()
        self.versions: dict[str, str] = {}
        self._process: Spawned | None = None
        self._install(self._start())

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._manifest

    @property
    def pid(self) -> int:
        """The process id; 0 while there is none."""
        process = self._process
        return process.pid if process else 0

    @property
    def memory(self) -> int:
        """The resident memory of the process in bytes; 0 while there is none."""
        process = self._process
        return process.memory if process else 0

    @property
    def is_steady(self) -> bool:
        """It is another process that is waited for."""
        return False

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row: the same reason for all of them if there is no process.

        Raises:
            InvalidInput: the model raised for several rows; perhaps it answers some of them alone.
        """
        question = self._packer.pack(rows)
        with self._call:
            process = self._process
            if process is None:
                return self._failed(rows, f"the process is being started again: {self._why}")
            try:
                head, raw = process.ask(question, self._limits.call_seconds)
            except Unavailable as error:
                return self._failed(rows, error.what)
        self._look(process)
        if head.error and len(rows) == 1:
            return self._failed(rows, head.error)
        if head.error:
            raise InvalidInput(head.error)
        return self._outcomes(*columns.arrays(head, raw))

    def close(self) -> None:
        """End the process."""
        self._closing.set()
        with self._swap:
            process, self._process = self._process, None
        if process is not None:
            process.stop("the version is no longer served")

    def _outcomes(
        self, values: columns.Array | None, scores: columns.Array | None
    ) -> list[Outcome]:
        if scores is not None and self._order is not None:
            chosen = np.asarray(scores, dtype=np.float64)[:, self._order]
            if values is None:
                return self._classes.of_scores(chosen)
            return self._classes.of_both(flat(values), chosen)
        if values is None:
            raise InvalidInput("the process sent an answer without values")
        if self._manifest.task == "regression":
            return numbers(values)
        return self._classes.of_array(values)

    def _failed(self, rows: Sequence[Features], why: str) -> list[Outcome]:
        return [why[:REASON_LENGTH]] * len(rows)

    def _start(self) -> Spawned:
        """A process that has loaded the model."""
        begun = clock.monotonic()
        process = Spawned(
            self._python,
            is_own=is_own(self._python),
            memory_bytes=self._limits.memory_bytes,
            name=f"model {self._manifest.model}",
            ended=self._ended,
        )
        try:
            head, _ = process.ask(self._task, self._limits.start_seconds)
            if head.error:
                raise InvalidInput(f"the model cannot be loaded ({head.error})")
            if head.classes is not None:
                self._order = self._classes.order(list(head.classes))
        except SerinusError as error:
            process.stop("it did not start")
            raise InvalidInput(
                error.what,
                where=f"{self._manifest.model} in {self._python}",
                remedy=error.remedy
                or "Install what it needs: serinus models package NAME VERSION --environment.",
                faults=process.last_words(),
            ) from error
        self.versions = head.versions
        self._born = clock.monotonic()
        _log.info(
            "%s runs in process %d (%s; %.0f MB, %.1f s)",
            self._manifest.model,
            process.pid,
            ", ".join(f"{name} {version}" for name, version in head.versions.items()),
            process.memory / 1e6,
            self._born - begun,
        )
        return process

    def _ended(self, process: Spawned, why: str) -> None:
        """Start it again; in the thread of the one that ended."""
        with self._swap:
            if process is not self._process:
                return  # It never began, or was replaced.
            self._process = None
            self._why = why
            is_starting, self._is_starting = self._is_starting, True
        _log.warning(
            "%s: %s; it last printed:\n%s", self._manifest.model, why, "\n".join(process.tail)
        )
        if clock.monotonic() - self._born > self._limits.longest_rest_seconds:
            self._failures = 0
        if not is_starting:
            self._start_again()

    def _start_again(self) -> None:
        """Put a fresh process in the place of the present one, if any, however long it takes."""
        while not self._closing.wait(self._rest()):
            self._failures += 1
            try:
                self._install(self._start())
                return
            except Exception as error:  # whatever hinders it now may be gone next time
                self._why = str(error).splitlines()[0]
                _log.warning("%s cannot be started again: %s", self._manifest.model, error)

    def _rest(self) -> float:
        if self._failures == 0:
            return 0.0
        doubled = self._limits.rest_seconds * 2.0 ** min(self._failures - 1, 30)
        return min(doubled, self._limits.longest_rest_seconds)

    def _install(self, process: Spawned) -> None:
        """Make a started process the one that is asked, between two calls.

        Raises:
            Unavailable: it has ended meanwhile.
        """
        with self._call, self._swap:
            if process.is_gone:
                raise Unavailable("the process ended as soon as the model was loaded")
            before, self._process = self._process, process
            self._is_starting = False
        if before is not None:
            before.stop("it was replaced")
        if self._closing.is_set():
            self.close()

    def _look(self, process: Spawned) -> None:
        """Have a process that takes too much memory replaced by a fresh one."""
        now = clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        if not (why := process.excess):
            return
        with self._swap:
            is_starting, self._is_starting = self._is_starting, True
        if not is_starting:
            _log.warning("%s: %s; it is replaced", self._manifest.model, why)
            name = f"renew {self._manifest.model}"
            threading.Thread(target=self._start_again, name=name, daemon=True).start()


def load_task(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The first message: what to load."""
    flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]
    return {
        "folder": str(folder.absolute()),
        "flavors": flavors,
        "task": manifest.task,
        "inputs": [{"name": field.name, "type": field.type} for field in manifest.inputs],
    }
