import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving import scripted

from serinus.serving.runtimes.cached import CachedRuntime
from serinus.wire import Output


def doubling(rows):
    return [Output(float(row[0]) * 2) if row[0] >= 0 else "negative" for row in rows]


def test_cached_runtime_asks_only_for_what_it_does_not_know():
    inner = scripted.Scripted(doubling)
    cached = CachedRuntime(inner, 10)
    assert cached.answer([(1.0,), (2.0,), (1.0,)]) == [Output(2.0), Output(4.0), Output(2.0)]
    assert cached.answer([(2.0,), (3.0,)]) == [Output(4.0), Output(6.0)]
    assert inner.calls == [[(1.0,), (2.0,)], [(3.0,)]]


def test_cached_runtime_asks_again_for_what_failed():
    inner = scripted.Scripted(doubling)
    cached = CachedRuntime(inner, 10)
    assert cached.answer([(-1.0,)]) == ["negative"]
    assert cached.answer([(-1.0,)]) == ["negative"]
    assert len(inner.calls) == 2


def test_cached_runtime_forgets_what_was_not_needed_the_longest():
    inner = scripted.Scripted(doubling)
    cached = CachedRuntime(inner, 2)
    cached.answer([(1.0,), (2.0,)])
    cached.answer([(1.0,)])
    cached.answer([(3.0,)])
    cached.answer([(1.0,)])
    cached.answer([(2.0,)])
    assert inner.calls == [[(1.0,), (2.0,)], [(3.0,)], [(2.0,)]]


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0.0, False)])
def test_cached_runtime_tells_apart_what_only_python_holds_equal(one, other):
    inner = scripted.Scripted(doubling)
    cached = CachedRuntime(inner, 10)
    cached.answer([(one,)])
    cached.answer([(other,)])
    assert len(inner.calls) == 2


def test_cached_runtime_passes_on_what_it_cannot_understand():
    cached = CachedRuntime(scripted.Scripted(lambda rows: [Output(1)] * 7), 10)
    assert len(cached.answer([(1.0,)])) == 7


@given(
    st.lists(st.lists(st.integers(-2, 6), min_size=1, max_size=5), max_size=12), st.integers(1, 5)
)
def test_cached_runtime_answers_as_the_other_would(calls, size):
    cached = CachedRuntime(scripted.Scripted(doubling), size)
    for call in calls:
        rows = [(float(number),) for number in call]
        assert cached.answer(rows) == doubling(rows)
