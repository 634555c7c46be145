"""Ledgers of a known content, archives of them, and events of every kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import strategies as st

from serinus import wire
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.compaction import Compaction
from serinus.ledger.archive.lookup import Archive
from serinus.ledger.archive.query import Ledger
from serinus.ledger.archive.reader import ArchivedReader
from serinus.ledger.archive.sources import open_segments
from serinus.ledger.archive.types import Segments
from serinus.ledger.opening import open_reader, open_writer
from serinus.ledger.types import Reader, Record

DAY_US = 86_400_000_000
START_US = 1_767_225_600_000_000  # 2026-01-01
NAMES = ("age", "income", "city")

_int64 = st.integers(-(2**63), 2**63 - 1)
_text = st.text(max_size=12)
_cells = st.one_of(
    st.none(), st.booleans(), _int64, st.integers(2**63, 2**64 - 1), st.floats(), _text
)
_answers = st.one_of(st.booleans(), _int64, st.floats(), _text)
_times = st.integers(-(2**62), 2**62)
_assignments = st.builds(
    wire.Assignment,
    model=_text,
    arm=st.sampled_from(wire.Arm),
    share=st.floats(0, 1),
    revision=_int64,
    deployment=_text,
    step=_int64,
    unit=_int64,
    variant=st.integers(0, 3),
    shares=st.lists(st.floats(0, 1), max_size=3).map(tuple),
)
_outputs = st.builds(
    wire.Output, value=_answers, scores=st.lists(st.floats(), max_size=4).map(tuple)
)
_ids = st.binary(min_size=16, max_size=16)
events = st.one_of(
    st.builds(
        wire.Prediction,
        at=_times,
        assignment=_assignments,
        version=_text,
        features=st.lists(_cells, max_size=6).map(tuple),
        output=_outputs,
        latency_us=_int64,
        fallback=_text,
    ),
    st.builds(
        wire.Failure,
        at=_times,
        assignment=_assignments,
        version=_text,
        reason=_text,
        latency_us=_int64,
        fallback=_text,
        default=st.none() | _answers,
    ),
    st.builds(
        wire.Shadow,
        at=_times,
        prediction=_ids,
        assignment=_assignments,
        version=_text,
        champion=st.none() | _outputs,
        output=st.none() | _outputs,
        latency_us=_int64,
        failure=_text,
    ),
    st.builds(
        wire.Label,
        at=_times,
        prediction=_ids,
        value=_answers,
        predicted_at=_times,
        assignment=_assignments,
        version=_text,
        output=_outputs,
    ),
    st.builds(
        wire.Value,
        at=_times,
        prediction=_ids,
        value=st.floats(),
        predicted_at=_times,
        assignment=_assignments,
        version=_text,
    ),
    st.builds(
        wire.WorkerStatus,
        at=_times,
        worker=_text,
        revision=_int64,
        ready=st.lists(_text, max_size=3).map(tuple),
        failed=st.dictionaries(_text, _text, max_size=3),
        circuits=st.dictionaries(_text, _text, max_size=3),
    ),
)
"""Every kind of event, with everything that the ledger takes."""


def names(model: str, version: str) -> tuple[str, ...] | None:
    """What the registry would know: one model's inputs."""
    return NAMES if model == "fraud" else None


def prediction(
    number: int, *, model: str = "fraud", at: int = START_US, version: str = "1.0.0"
) -> wire.Prediction:
    arm = wire.Arm.CHALLENGER if number % 4 == 0 else wire.Arm.CHAMPION
    assignment = wire.Assignment(model, arm, 0.25, 7, "d-1", 1, number)
    features = (20 + number % 60, number / 8, "Zürich" if number % 3 else None)
    output = wire.Output("yes" if number % 2 else "no", (0.25, 0.75))
    return wire.Prediction(at + number * 1_000, assignment, version, features, output, number)


def label(about: wire.Prediction, id: bytes, *, at: int) -> wire.Label:
    return wire.Label(at, id, "yes", about.at, about.assignment, about.version, about.output)


@dataclass
class Kept:
    """A ledger, in a folder unless it has another address, and its archive."""

    folder: Path
    address: Path | str = ""
    reader: Reader = field(init=False)
    segments: Segments = field(init=False)
    catalog: Catalog = field(init=False)
    archive: Archive = field(init=False)

    def __post_init__(self) -> None:
        self.address = self.address or self.folder / "ledger"
        self.reader = open_reader(self.address)
        self.segments = open_segments(self.address)
        self.catalog = Catalog(self.folder / "archive")
        self.archive = Archive(self.folder / "archive")

    def write(
        self, events: Sequence[wire.Event], *, segment_bytes: int = 1 << 30, by: int = 10
    ) -> list[Record]:
        """The events of one writer that came and went, with their ids."""
        writer = open_writer(self.address, segment_bytes=segment_bytes)
        ids: list[bytes] = []
        for start in range(0, len(events), by):
            ids += writer.append(events[start : start + by])
        writer.close()
        return [Record(*pair) for pair in zip(ids, events, strict=True)]

    @property
    def compaction(self) -> Compaction:
        return Compaction(self.segments, self.catalog, names)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.segments, self.catalog, names)

    @property
    def everywhere(self) -> ArchivedReader:
        return ArchivedReader(self.reader, self.segments, self.archive)

    def remove_segments(self) -> None:
        for segment in self.segments.listed():
            if segment.is_finished:
                self.segments.remove(segment.writer, segment.number)

    def close(self) -> None:
        self.reader.close()
        self.segments.close()

    def files(self) -> list[Path]:
        return sorted((self.folder / "archive").glob("*/day=*/*.parquet"))

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with self.ledger.query(sql) as answer:
            return list(answer.rows())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """A ledger in files."""
    made = Kept(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["file", "redis"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """A ledger, once of each kind."""
    redis = request.param == "redis"
    made = Kept(tmp_path, request.getfixturevalue("redis_url") if redis else "")
    yield made
    made.close()


def same(one: object, other: object) -> bool:
    """Whether two events are equal to the bit, where NaN equals NaN and 1 is not 1.0."""
    if isinstance(one, float) and isinstance(other, float):
        signs = math.copysign(1, one) == math.copysign(1, other)
        return (math.isnan(one) and math.isnan(other)) or (one == other and signs)
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__struct_fields__"):
        names = one.__struct_fields__
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return one == other
