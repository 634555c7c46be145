from hypothesis import given
from hypothesis import strategies as st

from serinus.ledger import frames

payloads = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8)


def joined(items):
    return b"".join(frames.pack(item)[1] + item for item in items)


@given(payloads)
def test_frames_round_trip(items):
    found = list(frames.scan(memoryview(joined(items))))
    assert [bytes(frame.payload) for frame in found] == items
    assert [frame.crc for frame in found] == [frames.pack(item)[0] for item in items]


@given(payloads, st.data())
def test_frames_truncated_lose_only_what_was_cut(items, data):
    whole = joined(items)
    cut = data.draw(st.integers(0, len(whole)))
    found = [bytes(frame.payload) for frame in frames.scan(memoryview(whole[:cut]))]
    ends = [len(joined(items[: count + 1])) for count in range(len(items))]
    assert found == items[: sum(end <= cut for end in ends)]


@given(payloads, st.data())
def test_frames_with_a_changed_byte_lose_only_that_frame(items, data):
    whole = bytearray(joined(items))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    ends = [len(joined(items[: count + 1])) for count in range(len(items))]
    damaged = next(index for index, end in enumerate(ends) if position < end)
    found = [bytes(frame.payload) for frame in frames.scan(memoryview(whole))]
    assert found == items[:damaged]
    behind = frames.next_whole(memoryview(whole), ends[damaged])
    assert behind == (ends[damaged] if damaged + 1 < len(items) else None)


@given(st.binary(max_size=200))
def test_frames_of_any_bytes_never_raise(junk):
    view = memoryview(junk)
    for start in range(len(junk) + 1):
        assert (frame := frames.at(view, start)) is None or frame.end <= len(junk)
    frames.next_whole(view, 0)


def test_frames_of_zeros_are_none():
    assert list(frames.scan(memoryview(bytes(4096)))) == []
