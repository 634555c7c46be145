from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.conftest import prediction

from serinus.ledger import events, frames, ids
from serinus.ledger.streams.course import Course, entry_id, just_before, ranges
from serinus.ledger.types import Offset

NAME = "0a0b0c0d"


def entry(segment, offset, event):
    payload = events.encode(event)
    return [f"{segment}-{offset}".encode(), [b"f", frames.pack(payload)[1] + payload]]


SIZE = len(entry(1, 0, prediction(1))[1][1])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=9, unique=True))
def test_course_counts_what_is_missing(places):
    """Records at some of the places of three segments of ten: all others are missing."""
    course = Course(NAME, 0, 0)
    for segment, place in sorted(places):
        course.take(entry(segment, place * SIZE, prediction(place)))
    last = dict(sorted(places))
    expected = sum(place + 1 for place in last.values()) - len(places)
    assert [record.event.at for record in course.records] == [at for _, at in sorted(places)]
    assert course.damaged == expected * SIZE
    assert (course.gaps == 0) == (
        not expected and sorted(last) in ([], [0], [0, 1], [0, 1, 2], [1], [1, 2])
    )
    assert all(ids.unpack(record.id).writer == NAME for record in course.records)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.lists(st.binary(), max_size=4))
def test_course_goes_past_any_entry(segment, offset, fields):
    course = Course(NAME, 0, 0)
    course.take([f"{segment}-{offset}".encode(), fields if len(fields) > 1 else None])
    assert course.records == []
    assert course.here > Offset(segment, offset)


def test_ranges_cover_each_place_once():
    near, far = ranges("key", Offset(3, 100), 7, 50, Offset(9, 9))
    assert near == ("XRANGE", "key", "3-100", "3-149", "COUNT", 7)
    assert far == ("XRANGE", "key", "3-150", "9-9", "COUNT", 1)
    near, far = ranges("key", Offset(3, 100), 7, 50, Offset(3, 120))
    assert (near[3], far[2], far[3]) == ("3-120", "3-150", "3-120")


def test_place_just_before():
    assert just_before(Offset(3, 1)) == Offset(3, 0)
    assert entry_id(just_before(Offset(3, 0))) == "2-4294967295"
