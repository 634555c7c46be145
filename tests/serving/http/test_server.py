import asyncio
import contextlib
import time

from serinus.serving import gateway
from serinus.serving.board import Board
from serinus.serving.http.connection import Limits, Shared
from serinus.serving.http.refusal import Refused
from serinus.serving.http.server import Server

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(port, handle):
    shared = Shared(
        Limits(100, 2.0), handle, lambda path, refusal: Refused(refusal.status, b"", b"", ())
    )
    with gateway.listen("127.0.0.1", port) as listener:
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
