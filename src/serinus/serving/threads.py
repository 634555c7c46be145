"""One daemon thread that runs calls one after the other and hands results back to the loop.

A daemon, unlike the threads of ``concurrent.futures``: a model that never returns must not keep
the process from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Done = Callable[[Any, Exception | None], None]


class Hand:
    """Runs functions in a thread of its own, begun at the first call."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self._loop = loop
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Done] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[[], Any], done: Done) -> None:
        """Call ``function`` in the thread, then ``done(result, error)`` in the loop."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._calls.put((function, done))

    def call(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """The result of ``function``, awaitable."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.run(function, done)
        return future

    def close(self) -> None:
        """Let the thread end once it has nothing left to do."""
        if self._thread is not None:
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, done = call
            result: Any = None
            error: Exception | None = None
            try:
                result = function()
            except Exception as caught:
                error = caught
            except SystemExit as caught:
                # Somebody's model called exit(): that ends neither this thread nor the process.
                error = RuntimeError(f"SystemExit: {caught}")
            try:
                self._loop.call_soon_threadsafe(done, result, error)
            except RuntimeError:
                return  # The loop is closed: nobody waits any more.
