import asyncio

from hypothesis import given
from hypothesis import strategies as st
from tests.serving import scripted

from serinus.serving.telling import counters
from serinus.serving.telling.counters import BOUNDS, Counters, Counts, Tally
from serinus.wire import Arm

tallies = st.builds(
    Tally,
    model=st.sampled_from("ab"),
    version=st.sampled_from("12"),
    arm=st.sampled_from(["champion", "challenger"]),
    success=st.integers(0, 9),
    failed=st.integers(0, 9),
    latency=st.lists(st.integers(0, 9), min_size=len(BOUNDS) + 1, max_size=len(BOUNDS) + 1),
)
counts = st.builds(
    Counts,
    tallies=st.lists(tallies, max_size=4),
    refused=st.dictionaries(st.sampled_from(["404", "422"]), st.integers(0, 9)),
    shed=st.integers(0, 9),
    values=st.integers(0, 9),
)


@given(st.lists(counts, max_size=4))
def test_total_is_the_same_however_it_is_grouped(many):
    whole = counters.total(many)
    assert counters.total([counters.total(many[:2]), counters.total(many[2:])]) == whole
    assert sum(t.rows for t in whole.tallies) == sum(t.rows for c in many for t in c.tallies)
    assert whole.shed == sum(c.shed for c in many)
    assert whole.values == sum(c.values for c in many)


@given(st.lists(st.floats(0.0001, 9.9), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_quantile_is_in_the_bin_of_the_true_one(seconds, level):
    latency = [0] * (len(BOUNDS) + 1)
    for value in seconds:
        latency[next(i for i, bound in enumerate(BOUNDS) if value <= bound)] += 1
    found = counters.quantile(latency, level)
    true = sorted(seconds)[min(int(-(-level * len(seconds) // 1)) - 1, len(seconds) - 1)]
    index = next(i for i, bound in enumerate(BOUNDS) if true <= bound)
    assert (BOUNDS[index - 1] if index else 0.0) <= found <= BOUNDS[index]


def test_quantile_without_rows_is_none():
    assert counters.quantile([0] * (len(BOUNDS) + 1), 0.5) is None


def test_counters_count_a_row_under_the_arm_it_was_assigned_to():
    async def scenario():
        champion, challenger = (scripted.lane(v, scripted.saying(1)) for v in "12")
        live = scripted.live_route(champion, challenger, share=0.5)
        counting = Counters()
        row = scripted.row(live, Arm.CHALLENGER)
        row.fallback = "broken"
        counting.count(row, 0.002)
        counting.count(scripted.row(live), 0.002)
        counting.refuse(404)
        found = counting.counts()
        assert [(t.version, t.arm, t.success, t.fallback) for t in found.tallies] == [
            ("2", "challenger", 0, 1),
            ("1", "champion", 1, 0),
        ]
        assert found.refused == {"404": 1}

    asyncio.run(scenario())
