import ast
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.runtimes import wild

from serinus.serving.runtimes import child, columns
from serinus.serving.runtimes.frames import FrameBuilder

CELLS = {
    "double": st.none() | st.floats(),
    "long": st.none() | st.integers(-(2**53), 2**53),
    "boolean": st.none() | st.booleans(),
    "string": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
}


@st.composite
def tables(draw):
    from serinus.wire import Field

    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=6))
    inputs = [Field(f"column {place}", kind) for place, kind in enumerate(kinds)]
    rows = st.tuples(*(CELLS[kind] for kind in kinds))
    return inputs, draw(st.lists(rows, min_size=1, max_size=9))


def parted(message: bytes) -> tuple[dict, bytearray]:
    head, numbers = child.HEADER.unpack_from(message)
    body = bytearray(message[child.HEADER.size :])
    assert len(body) == head + numbers
    return json.loads(body[:head]), body[head:]


@given(tables())
def test_frames_of_a_child_are_those_of_the_gateway(table):
    inputs, rows = table
    described = [{"name": field.name, "type": field.type} for field in inputs]
    made = child.frame(described, *parted(columns.RowPacker(inputs).pack(rows)))
    pd.testing.assert_frame_equal(made, FrameBuilder(inputs).build(rows))


def test_frames_can_be_written_into():
    made = child.frame(
        [{"name": "x"}], *parted(columns.message({"rows": 1, "kinds": ""}, b"a" * 8))
    )
    made.iloc[0, 0] = 2.0
    assert made.iloc[0, 0] == 2.0


@pytest.mark.parametrize(
    "given",
    [
        np.array([1.5, np.nan]),
        np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32),
        np.array([1, -(2**62)]),
        np.array([True, False, True]),
        np.array(["yes", "nö"]),
        np.array(["yes", 1, 2.5, True, None], dtype=object),
        np.zeros((0, 2)),
        pd.Series(["a", "b"]),
        pd.DataFrame({"no": [0.5], "yes": [0.5]}),
        [1, 2, 3],
    ],
    ids=repr,
)
def test_described_answers_arrive_as_they_were(given):
    about, raw = child.described(given)
    head = columns.reply(json.dumps({"values": about}).encode())
    values, scores = columns.arrays(head, raw)
    assert scores is None
    expected = np.asarray(given)
    assert values.shape == expected.shape
    np.testing.assert_array_equal(values.astype(expected.dtype), expected)


@pytest.mark.parametrize(
    "value",
    [float("inf"), 2**64, b"bytes", {"a": 1}, object()],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_are_none_where_json_has_no_word(value):
    assert child.plain(value) is None


def test_plain_values_of_arrays():
    assert child.plain(np.float64(0.5)) == 0.5
    assert child.plain(np.bool_(True)) is True


def test_words_of_an_exception_are_one_short_line():
    assert child.words(ValueError("first\nsecond")) == "ValueError: first"
    assert len(child.words(ValueError("x" * 9_999))) == child.ERROR_LENGTH


@pytest.mark.parametrize("name", ["child", "natives", "families"])
def test_program_is_for_old_interpreters_without_serinus(name):
    text = Path(child.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    imported = set()
    for node in ast.walk(ast.parse(text, feature_version=(3, 8))):
        if isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
    assert imported <= sys.stdlib_module_names


def test_program_ends_when_its_gateway_was_gone_before_it_began(tmp_path):
    import os

    ours, theirs = socket.socketpair()
    life, gone = os.pipe()
    os.close(gone)
    fds = (theirs.fileno(), life)
    with ours, theirs:
        ended = subprocess.run(
            [sys.executable, "-P", child.__file__, *map(str, fds)],
            pass_fds=fds,
            timeout=20,
            check=False,
            start_new_session=True,
        )
    os.close(life)
    assert ended.returncode == 0


def test_model_of_a_folder_answers(tmp_path):
    from serinus.serving.runtimes.process import load_task

    folder = wild.save(tmp_path / "m", wild.wild(answer="scores"), wild.CLASSES)
    model = child.Model(load_task(folder, wild.CLASSES))
    question = columns.RowPacker(wild.INPUTS).pack([wild.row(x=1.0), wild.row(None, 3.0)])
    found, raw = model.answer(*parted(question))
    head = columns.reply(json.dumps(found).encode())
    assert columns.arrays(head, raw)[0].tolist() == [[0.75, 0.25], [0.25, 0.75]]
