"""The process that runs one job: ``python -m serinus.scheduling.child MESSAGES FACTORY``.

It loads the factory's module first and then waits for its task, so that a worker can keep one
ready: a job need not wait for the imports of MLflow and scikit-learn.

Standard input carries the :class:`Task`, one line of JSON, and after it a byte at each renewal
of the lease. The file descriptor MESSAGES carries :class:`Message` lines up. Standard output and
error are the job's own.

The child outlives neither its worker (end of input) nor its lease (no byte for so long): it then
kills its whole process group, so that whoever takes the job next is alone with it.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from serinus.errors import InvalidInput, SerinusError, Unavailable
from serinus.scheduling.types import Job

Handler: TypeAlias = Callable[[Job, Callable[[str], None]], dict[str, Any]]
"""Does a job, telling its progress in words, and returns its result as plain JSON. A job may be
run again after a crash: a handler must find its own finished work by the job's key."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do.

    Attributes:
        factory: ``module:function`` that returns the handlers by kind, given ``arguments``.
        arguments: keyword arguments of the factory, in plain JSON.
        job: the job to run.
        lease_seconds: the silence after which the child must assume that it has lost the job.
    """

    factory: str
    arguments: dict[str, Any]
    job: Job
    lease_seconds: float


class Message(msgspec.Struct, frozen=True):
    """What a child tells: its progress, its result, or its error (worth another try or not)."""

    kind: Literal["progress", "result", "error"]
    text: str = ""
    result: dict[str, Any] = {}
    retry: bool = False


def run(task: Task, tell: Callable[[Message], None]) -> None:
    """Run the job and tell how it went; only what a handler cannot catch escapes."""
    try:
        handler = _handler(task)
        result = handler(task.job, lambda text: tell(Message("progress", text)))
        tell(Message("result", result=result))
    except SerinusError as error:
        tell(Message("error", str(error), retry=isinstance(error, Unavailable)))
    except Exception:  # whatever a handler raises is the job's error, never the worker's
        tell(Message("error", traceback.format_exc(), retry=True))


def _handler(task: Task) -> Handler:
    module, _, name = task.factory.partition(":")
    factory: Callable[..., Mapping[str, Handler]] = getattr(importlib.import_module(module), name)
    handlers = factory(**task.arguments)
    if task.job.kind not in handlers:
        raise InvalidInput(
            f"nothing here handles jobs of the kind {task.job.kind!r}",
            where=task.job.id,
            remedy=f"Known kinds: {', '.join(sorted(handlers))}.",
        )
    return handlers[task.job.kind]


def main() -> None:
    """Run the one job that standard input describes; end quietly if it ends without one."""
    source = _take_input()
    importlib.import_module(sys.argv[2].partition(":")[0])
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(source, 1)
        if not byte:
            return
        line += byte
    task = msgspec.json.decode(bytes(line), type=Task)
    threading.Thread(
        target=_die_with_worker, args=(source, task.lease_seconds), daemon=True
    ).start()
    messages = int(sys.argv[1])
    os.set_inheritable(messages, False)  # noqa: FBT003 - it takes no names
    run(task, lambda message: _write(messages, message))


def _take_input() -> int:
    """A descriptor of the input for this module alone: what a handler reads is empty."""
    source = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return source


def _die_with_worker(source: int, lease_seconds: float) -> None:
    words = select.poll()
    words.register(source, select.POLLIN)
    while words.poll(1e3 * lease_seconds) and os.read(source, 64):
        pass
    os.killpg(0, signal.SIGKILL)


def _write(messages: int, message: Message) -> None:
    line = msgspec.json.encode(message) + b"\n"
    while line:
        line = line[os.write(messages, line) :]


if __name__ == "__main__":
    main()
