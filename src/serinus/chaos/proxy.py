"""A network that fails on demand: a TCP port in front of a server's socket."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
_CHUNK = 65_536


class Proxy:
    """Passes bytes to a socket for as long as the block lasts, unless it is told not to.

    Args:
        socket: of the server.

    Attributes:
        port: where it listens.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._is_cut = False
        self.port = 0

    def __enter__(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Break all connections and refuse new ones."""
        self._is_cut = True
        self._loop.call_soon_threadsafe(self._break)

    def stall(self) -> None:
        """Keep all connections and let nothing through."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def heal(self) -> None:
        """Be a network again."""
        self._is_cut = False
        self._loop.call_soon_threadsafe(self._flows.set)

    async def _listen(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _break(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._is_cut:
                return
            with suppress(OSError):
                there, back = await asyncio.open_unix_connection(str(self._socket))
                self._writers.add(back)
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
                self._writers.discard(back)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
