"""A process that has imported the command line, and becomes each command that it is asked for.

Nearly all that a short command costs is Python's start and the imports: seconds for each test.
A command from here has its own process, files, folder and environment all the same; what a new
interpreter imports is asked of a new one, in test_root.py.

    python warm.py SOCKET_DESCRIPTOR
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import socket
import sys
import threading

from serinus import settings

IMPORTED = (
    "rich.table", "serinus.app", "serinus.cli.screen", "serinus.cli.show", "serinus.client",
    "serinus.demo.story", "serinus.proof.runner", "serinus.training.pipeline",
)  # fmt: skip
REQUEST_BYTES = 1 << 18


def serve(door: socket.socket) -> None:
    """Become what is asked for, and tell how it ended, until nobody asks any more."""
    # A thread would be missing in every copy, with whatever it held.
    assert threading.active_count() == 1
    fork = multiprocessing.get_context("fork")
    gc.freeze()  # a collection in a copy would touch, and so copy, all memory
    while True:
        request, files, _, _ = socket.recv_fds(door, REQUEST_BYTES, 3)
        if not request:
            return
        command = fork.Process(target=become, args=(files,), kwargs=json.loads(request))
        command.start()
        for number in files:
            os.close(number)
        command.join()
        door.send(b"%d" % command.exitcode)


def become(
    files: list[int], arguments: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Run the command in this process, with the given standard files."""
    for target, number in enumerate(files):
        os.dup2(number, target)
        os.close(number)
    sys.stdin = os.fdopen(0, closefd=False)  # which a process of the library has closed
    os.chdir(folder)
    sys.path[0] = folder
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    runpy.run_module("serinus", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    settings.prepare_environment()
    for name in IMPORTED:
        importlib.import_module(name)
    serve(socket.socket(fileno=int(sys.argv[1])))
