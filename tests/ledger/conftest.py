"""Events to write, and strategies that make them."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from serinus import wire

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


@pytest.fixture
def events() -> list[wire.Prediction]:
    return [prediction(number) for number in range(100)]
