from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.loading.memory import Held, surplus


def held(key, *, size=10, used_at=0.0, in_service=True, is_warm=False):
    return Held(key, size, used_at, in_service=in_service, is_warm=is_warm)


def test_surplus_without_a_budget_is_only_what_is_idle_beyond_a_few():
    idle = [held(n, used_at=n, in_service=False) for n in range(6)]
    assert surplus([*idle, held("a"), held("b")], 0, kept_idle=4) == [0, 1]


def test_surplus_takes_idle_ones_first_and_then_the_least_recently_used():
    several = [
        held("new", used_at=3.0),
        held("old", used_at=1.0),
        held("idle", used_at=2.0, in_service=False),
    ]
    assert surplus(several, 30) == []
    assert surplus(several, 20) == ["idle"]
    assert surplus(several, 10) == ["idle", "old"]
    assert surplus(several, 1) == ["idle", "old", "new"]


def test_surplus_never_takes_what_must_stay_warm():
    several = [held("warm", used_at=0.0, is_warm=True), held("cold", used_at=9.0)]
    assert surplus(several, 1) == ["cold"]


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.floats(0, 10), st.booleans(), st.booleans()), max_size=20
    ),
    st.integers(1, 500),
)
def test_surplus_leaves_no_more_than_the_budget_unless_it_is_warm(given_, budget):
    several = [
        held(key, size=size, used_at=at, in_service=serving, is_warm=warm)
        for key, (size, at, serving, warm) in enumerate(given_)
    ]
    gone = set(surplus(several, budget))
    stay = [one for one in several if one.key not in gone]
    assert not any(one.is_warm for one in several if one.key in gone)
    assert sum(one.size for one in stay) <= budget or all(one.is_warm for one in stay)
