"""The process that packages one version: ``python -m serinus.registry.packaging.child WORK``.

It reads ``task`` in the folder WORK, converts and proves, and leaves graphs and ``made`` there. The
version's own folder it only reads: who started it puts things there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import onnx
from threadpoolctl import threadpool_limits

from serinus import clock, wire
from serinus.registry.packaging import proof, variations
from serinus.registry.packaging.conversion import graphs, registered
from serinus.registry.packaging.types import MIN_ROWS, Row, Task, Unconvertible
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.types import Runtime

TASK = "task"
MADE = "made"
_ONNX, _INT8 = "onnx", "onnx-int8"


class Packaging:
    """Tries the forms of one version, one after the other, and remembers what became of each.

    Args:
        task: what is asked.
        work: a folder for graphs.
    """

    def __init__(self, task: Task, work: Path) -> None:
        self._task = task
        self._work = work
        self._folder = Path(task.folder)
        self._original: Runtime = artifacts.open_original(self._folder, task.manifest)
        self._attempts: list[wire.Attempt] = []
        self._times: dict[str, float] = {}
        self._single = False
        self._rows: list[Row] = list(dict.fromkeys(tuple(row) for row in task.rows))

    def run(self) -> wire.Package:
        """Try all forms; the best that is proven is in use, else the original."""
        native = type(self._original).__name__ == "SklearnRuntime"
        plain = wire.Package(form="estimator" if native else "pyfunc")
        self._attempt(_ONNX, self._convert, None)
        if self._task.quantize is not None and (self._work / _ONNX).exists():
            self._attempt(_INT8, self._quantize, self._task.quantize)
        proven = [attempt for attempt in self._attempts if attempt.outcome == "proven"]
        if proven:
            # The quantized one was asked for: it comes last, and it is used if it holds.
            plain = self._package(proven[-1])
        return msgspec.structs.replace(
            plain,
            attempts=tuple(
                msgspec.structs.replace(attempt, outcome="used")
                if proven and attempt is proven[-1]
                else attempt
                for attempt in self._attempts
            ),
        )

    def _package(self, best: wire.Attempt) -> wire.Package:
        graph = onnx.load(self._work / best.form)
        return wire.Package(
            form="onnx",
            path=best.form,
            opset=graphs.opset(graph),
            tolerance=self._tolerance(best.form),
            difference=best.difference or 0.0,
            rows=best.rows,
        )

    def _tolerance(self, form: str) -> float:
        if form == _INT8 and self._task.quantize is not None:
            return self._task.quantize
        return self._task.single if self._single else self._task.double

    def _attempt(self, form: str, make: Callable[[Path], None], tolerance: float | None) -> None:
        begun = clock.monotonic()
        path = self._work / form
        tried = wire.Attempt(form, "")
        try:
            make(path)
            bound = self._tolerance(form) if tolerance is None else tolerance
            tried = self._prove(msgspec.structs.replace(tried, bytes=path.stat().st_size), bound)
        except Unconvertible as why:
            tried = msgspec.structs.replace(tried, outcome=f"not converted: {why}")
        except Exception as error:  # libraries raise what they like, and it is no fault of ours
            first = str(error).strip().splitlines() or ["no reason told"]
            why_failed = f"failed: {type(error).__name__}: {first[0]}"
            tried = msgspec.structs.replace(tried, outcome=why_failed)
        took = clock.monotonic() - begun
        self._attempts.append(msgspec.structs.replace(tried, seconds=round(took, 3)))

    def _convert(self, path: Path) -> None:
        made = registered.graph_of(self._folder, self._task.manifest)
        self._single = made.is_single
        path.write_bytes(made.model.SerializeToString())

    def _quantize(self, path: Path) -> None:
        module = registered.optional(
            "serinus.registry.packaging.conversion.quantized", "onnxruntime.quantization"
        )
        module.quantize(self._work / _ONNX, path)

    def _prove(self, tried: wire.Attempt, tolerance: float) -> wire.Attempt:
        graph = artifacts.open_graph(self._work / tried.form, self._task.manifest)
        if len(self._rows) < MIN_ROWS:
            why = (
                f"not proven: there are {len(self._rows)} different rows to compare on, and "
                f"{MIN_ROWS} are needed; run: {self._task.command}"
            )
            return msgspec.structs.replace(tried, outcome=why)
        real, hostile = self._questions()
        tried = msgspec.structs.replace(
            tried, rows=len(real.rows), variations=len(hostile.rows), difference=0.0
        )
        for asked, what in ((real, "real"), (hostile, "varied")):
            found = proof.compare(asked, graph, tolerance)
            largest = max(tried.difference or 0.0, found.largest)
            tried = msgspec.structs.replace(tried, difference=largest)
            if found.fault:
                why = f"not equal on {what} rows: {found.fault}; {tolerance:g} is tolerated"
                return msgspec.structs.replace(tried, outcome=why)
        return self._time(tried, graph)

    def _questions(self) -> tuple[proof.Asked, proof.Asked]:
        manifest, original = self._task.manifest, self._original
        varied = variations.variations(manifest, self._rows)
        varied += variations.edges(manifest, self._rows, proof.numbers_of(original))
        return (
            proof.ask(original, self._rows, are_real=True),
            proof.ask(original, varied, are_real=False),
        )

    def _time(self, tried: wire.Attempt, graph: Runtime) -> wire.Attempt:
        before = self._times or proof.microseconds(self._original, self._rows)
        self._times = before
        after = proof.microseconds(graph, self._rows)
        gained = {size: round(before[size] / after[size], 2) for size in before}
        slow = [size for size in ("1", "32") if gained[size] < 1.0]
        outcome = "proven"
        if slow:
            outcome = (
                f"proven, but slower: {gained[slow[0]]:g} of the original's speed "
                f"for {slow[0]} row{'' if slow[0] == '1' else 's'}"
            )
        told = {size: round(value, 1) for size, value in before.items()}
        return msgspec.structs.replace(tried, outcome=outcome, speedup=gained, original_us=told)


def main() -> None:
    """Do the task in the folder that the argument names."""
    work = Path(sys.argv[1])
    task = msgspec.msgpack.decode((work / TASK).read_bytes(), type=Task)
    packaging = Packaging(task, work)
    # As in a gateway's worker, or the speed of the two could not be compared.
    with threadpool_limits(1):
        made = packaging.run()
    (work / MADE).write_bytes(msgspec.msgpack.encode(made))


if __name__ == "__main__":
    main()
