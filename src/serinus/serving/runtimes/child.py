"""The program that a version runs in when it has a process, and perhaps an environment, of its own.

Started by its path with the environment's interpreter: ``python child.py CHANNEL LIFE``. Serinus
is not installed there, so this file, and those that it reads from its folder, need nothing but the
standard library of Python 3.8, and then the packages of the model. CHANNEL is a socket for the
messages below. LIFE is a pipe that the gateway holds open and never writes to: however the gateway
ends, the kernel kills this process and all that it started. What a model prints goes to standard
error and can break no message.

A message is two lengths, a JSON head and raw numbers:

* down, once: the ``folder``, the ``flavors`` of its ``MLmodel``, the ``task`` and the ``inputs``;
  up: ``versions`` and the ``classes`` of an estimator;
* down, each call: ``rows`` and ``kinds``, one letter per column (``d`` float64, ``q`` int64,
  ``?`` boolean, ``s`` text, ``o`` plain values; empty: one block of float64), and the ``values``
  of the columns that are no numbers; the numbers follow, each column padded to eight bytes;
* up, each call: ``values`` and ``scores``, each with its ``type``, ``shape`` and, unless its
  numbers follow, its plain ``values``; or the ``error`` that the model raised.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import importlib.util
import json
import math
import os
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from typing import Any

HEADER = struct.Struct(">II")
ERROR_LENGTH = 500
_LIBRARIES = ("numpy", "pandas", "mlflow", "sklearn", "xgboost", "lightgbm", "torch", "tensorflow")
_LARGEST_INTEGER = 2**63 - 1


def main() -> None:
    """Load the model that the first message names, then answer until the channel ends."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    die_with(int(sys.argv[2]))
    volunteer()
    task, _ = receive(channel)
    try:
        model = Model(task)
    except BaseException as error:  # a model that calls exit() when it is loaded is broken, too
        traceback.print_exc()
        send(channel, {"error": words(error)})
        return
    send(channel, {"versions": versions(), "classes": model.classes})
    while True:
        head, buffer = receive(channel)
        try:
            found, numbers = model.answer(head, buffer)
        except BaseException as error:  # whatever it raises is an answer: only a crash is none
            traceback.print_exc()
            found, numbers = {"error": words(error)}, b""
        send(channel, found, numbers)


class Model:
    """A loaded model: an estimator that is called as it is, or anything that MLflow can load."""

    def __init__(self, task: dict[str, Any]) -> None:
        self._inputs = task["inputs"]
        self.classes: list[Any] | None = None
        self._predict: Any = None
        self._scores: Any = None
        importlib.import_module("pandas")  # Now, rather than in the first call.
        estimator = beside("natives").load(Path(task["folder"]), task["flavors"])
        if estimator is None:
            loaded = importlib.import_module("mlflow.pyfunc").load_model(task["folder"])
            shaper = beside("signatures").Shaper(loaded)
            self._predict = lambda rows: loaded.predict(shaper.shape(rows))
            return
        families = beside("families")
        families.on_one_thread(estimator)
        self._predict = estimator.predict
        if task["task"] == "classification" and hasattr(estimator, "predict_proba"):
            self._scores = estimator.predict_proba
            numpy = importlib.import_module("numpy")
            self.classes = [plain(name) for name in numpy.asarray(estimator.classes_).tolist()]
            if families.highest_decides(estimator):
                self._predict = None

    def answer(self, head: dict[str, Any], buffer: bytearray) -> tuple[dict[str, Any], bytes]:
        """What the model makes of the rows of a call, as a message."""
        rows = frame(self._inputs, head, buffer)
        found: dict[str, Any] = {}
        numbers = b""
        for name, function in (("values", self._predict), ("scores", self._scores)):
            if function is not None:
                found[name], raw = described(function(rows))
                numbers += raw
        return found, numbers


def beside(name: str) -> Any:
    """A module of this file's folder, which is not among the places of modules."""
    place = Path(__file__).with_name(name + ".py")
    spec = importlib.util.spec_from_file_location("serinus_" + name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def frame(inputs: list[dict[str, Any]], head: dict[str, Any], buffer: bytearray) -> Any:
    """The rows of a call as the table that a model was fitted on."""
    numpy, pandas = importlib.import_module("numpy"), importlib.import_module("pandas")
    names = pandas.Index([field["name"] for field in inputs])
    count, kinds = head["rows"], head["kinds"]
    if not kinds:
        block = numpy.frombuffer(buffer, dtype=numpy.float64).reshape(count, len(inputs))
        return pandas.DataFrame(block, columns=names, copy=False)
    texts = iter(head["values"])
    data: dict[int, Any] = {}
    start = 0
    for place, kind in enumerate(kinds):
        if kind in "so":
            data[place] = column(numpy, pandas, kind, next(texts))
            continue
        data[place] = numpy.frombuffer(buffer, dtype=kind, count=count, offset=start)
        start += padded(data[place].nbytes)
    table = pandas.DataFrame(data)
    table.columns = names
    return table


def column(numpy: Any, pandas: Any, kind: str, values: list[Any]) -> Any:
    """Text as this environment's pandas reads it from files; other values as they are."""
    if kind == "s" and int(pandas.__version__.split(".")[0]) >= 3:
        return pandas.array(values, dtype=pandas.StringDtype(na_value=numpy.nan))
    made = numpy.empty(len(values), dtype=object)
    made[:] = [numpy.nan if value is None else value for value in values]
    return made


def padded(count: int) -> int:
    """Bytes that so many bytes take among numbers of eight."""
    return -(-count // 8) * 8


def described(given: Any) -> tuple[dict[str, Any], bytes]:
    """What a model gave: its type and shape, and its numbers or its plain values."""
    numpy = importlib.import_module("numpy")
    array = numpy.asarray(given)
    name = {"f": "<f8", "u": "<f8", "i": "<i8", "b": "|b1"}.get(array.dtype.kind)
    head: dict[str, Any] = {"type": name or "json", "shape": list(array.shape)}
    if name is None:
        head["values"] = [plain(value) for value in array.ravel().tolist()]
        return head, b""
    raw = numpy.ascontiguousarray(array, dtype=name).tobytes()
    return head, raw + bytes(padded(len(raw)) - len(raw))


def plain(value: Any) -> Any:
    """A value as JSON can carry it; None for what is no answer."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else None
    return value if isinstance(value, str) else None


def words(error: BaseException) -> str:
    """An exception in one line."""
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}"[:ERROR_LENGTH]


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that the model brought in."""
    found = {"python": sys.version.split()[0]}
    for name in _LIBRARIES:
        if name in sys.modules:
            found[name] = str(getattr(sys.modules[name], "__version__", "?"))
    return found


def receive(channel: socket.socket) -> tuple[dict[str, Any], bytearray]:
    """The next message; the process ends where the channel does."""
    head, numbers = HEADER.unpack(exactly(channel, HEADER.size))
    return json.loads(exactly(channel, head)), exactly(channel, numbers)


def exactly(channel: socket.socket, count: int) -> bytearray:
    """So many bytes of the channel; writable, because models write into what they are given."""
    found = bytearray(count)
    view = memoryview(found)
    while view:
        got = channel.recv_into(view)
        if got == 0:
            os._exit(0)  # Nobody asks any more; a model's threads and exit hooks must not stay.
        view = view[got:]
    return found


def send(channel: socket.socket, head: dict[str, Any], numbers: bytes = b"") -> None:
    """Write one message."""
    text = json.dumps(head, allow_nan=False).encode("ascii")
    channel.sendall(HEADER.pack(len(text), len(numbers)) + text + numbers)


def die_with(life: int) -> None:
    """Have the kernel kill this process and its own children when the pipe's other end closes.

    A signal needs no thread, so it comes even if the model holds the interpreter for ever. That
    of ``prctl`` would not do: it comes when the *thread* ends that started this process.
    """
    os.set_inheritable(life, False)  # noqa: FBT003 - it takes no names
    fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
    try:
        os.read(life, 1)
    except BlockingIOError:
        return
    os._exit(0)  # It was closed before anybody was listening.


def volunteer() -> None:
    """When memory runs out, let the kernel take this process before any gateway."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


if __name__ == "__main__":
    main()
