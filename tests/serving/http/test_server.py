import asyncio
import contextlib
import os
import resource
import socket
import time

from serinus.serving.http.connection import Limits, Shared
from serinus.serving.http.refusal import Refused
from serinus.serving.http.server import Server
from serinus.serving.telling.board import Board
from serinus.serving.workers import gateway

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(port, handle, kind=socket.socket):
    shared = Shared(
        Limits(100, 2.0), handle, lambda path, refusal: Refused(refusal.status, b"", b"", ())
    )
    with kind(fileno=gateway.listen("127.0.0.1", port).detach()) as listener:
        loop = asyncio.get_running_loop()
        server = Server(loop, shared, listener, board=Board(), slot=0)
        server.start()
        yield server, shared
        await server.stop(0.0)


def test_server_answers_many_connections(free_port):
    async def scenario(port):
        async with serving(port, lambda exchange: exchange.answer(200, b"here")) as (server, _):

            async def ask():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                for _ in range(3):
                    writer.write(REQUEST)
                    assert b"200 OK" in await reader.readuntil(b"here")
                writer.close()
                await writer.wait_closed()

            await asyncio.gather(*[ask() for _ in range(50)])
            await server.stop(1.0)

    asyncio.run(asyncio.wait_for(scenario(free_port()), 20))


def test_server_that_stops_answers_what_was_asked_and_closes_the_rest(free_port):
    async def scenario(port):
        waiting = []
        async with serving(port, waiting.append) as (server, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            idle, other = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            while not waiting:
                await asyncio.sleep(0.001)
            stopping = asyncio.ensure_future(server.stop(5.0))
            assert await idle.read() == b""
            assert not stopping.done()
            waiting[0].answer(200, b"late")
            assert (await reader.read()).endswith(b"late")
            await stopping
            for each in (writer, other):
                each.close()

    asyncio.run(asyncio.wait_for(scenario(free_port()), 20))


def test_server_that_stops_waits_no_longer_than_it_may(free_port):
    async def scenario(port):
        async with serving(port, lambda exchange: None) as (server, shared):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            while not shared.connections:
                await asyncio.sleep(0.001)
            started = time.monotonic()
            await server.stop(0.2)
            assert time.monotonic() - started < 2.0
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(asyncio.wait_for(scenario(free_port()), 20))


class Counted(socket.socket):
    """A listener that knows how often it was asked for a connection."""

    asked = 0

    def accept(self):
        type(self).asked += 1
        return super().accept()


@contextlib.contextmanager
def no_more_descriptors():
    """As long as this lasts, this process can open nothing further."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_server_without_descriptors_waits_says_so_once_and_goes_on(free_port, caplog, monkeypatch):
    monkeypatch.setattr("serinus.serving.http.server.EXHAUSTED_SECONDS", 0.1)

    async def scenario(port):
        loop = asyncio.get_running_loop()
        here = serving(port, lambda exchange: exchange.answer(200, b"here"), Counted)
        async with here as (server, shared):
            with socket.socket() as client:
                client.setblocking(False)
                with no_more_descriptors():
                    await loop.sock_connect(client, ("127.0.0.1", port))
                    await loop.sock_sendall(client, REQUEST)
                    await asyncio.sleep(0.35)
                    assert not shared.connections
                    assert 2 <= Counted.asked < 50
                assert (await loop.sock_recv(client, 1_000)).endswith(b"here")
            await server.stop(1.0)

    asyncio.run(asyncio.wait_for(scenario(free_port()), 20))
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if "connections" in line] == said
    assert len(said) == 1


def test_server_that_stops_without_descriptors_is_not_offered_again(free_port):
    async def scenario(port):
        loop = asyncio.get_running_loop()
        async with serving(port, lambda exchange: None) as (server, shared):
            with socket.socket() as client:
                client.setblocking(False)
                with no_more_descriptors():
                    await loop.sock_connect(client, ("127.0.0.1", port))
                    while not server._is_exhausted:
                        await asyncio.sleep(0.001)
                await server.stop(0.0)
                server._resume()
                assert not shared.connections
                assert not server._joining

    asyncio.run(asyncio.wait_for(scenario(free_port()), 20))
