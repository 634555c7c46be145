from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.asking.breaker import Breaker, Circuit
from serinus.wire import BreakerRules

RULES = BreakerRules()
ROWS, PROBES, REST_SECONDS = RULES.rows, RULES.probes, RULES.rest_seconds


def opened(now=0.0):
    breaker = Breaker()
    breaker.note(0, ROWS, now)
    assert breaker.circuit is Circuit.OPEN
    return breaker


def asks(breaker, now):
    """Send a row if that is allowed; whether it was."""
    allowed = breaker.allows(now)
    if allowed:
        breaker.ask()
    return allowed


def test_breaker_opens_once_enough_rows_fail():
    breaker = Breaker()
    breaker.note(0, ROWS - 1, 0.0)
    assert breaker.circuit is Circuit.CLOSED
    assert breaker.allows(0.0)
    breaker.note(0, 1, 0.0)
    assert breaker.circuit is Circuit.OPEN
    assert not breaker.allows(REST_SECONDS * 0.9)


def test_breaker_stays_closed_where_most_rows_succeed():
    breaker = Breaker()
    for _ in range(100):
        breaker.note(6, 5, 0.0)
    assert RULES.failing_share > 5 / 11
    assert breaker.circuit is Circuit.CLOSED


def test_breaker_forgets_what_is_long_ago():
    breaker = Breaker()
    breaker.note(0, ROWS - 1, 0.0)
    breaker.note(0, 1, RULES.window_seconds * 1.1)
    assert breaker.circuit is Circuit.CLOSED


def test_breaker_closes_after_good_probes():
    breaker = opened()
    asked = [asks(breaker, REST_SECONDS) for _ in range(PROBES + 3)]
    assert asked == [True] * PROBES + [False] * 3
    assert breaker.circuit is Circuit.HALF_OPEN
    breaker.note(PROBES, 0, REST_SECONDS)
    assert breaker.circuit is Circuit.CLOSED


def test_breaker_opens_again_for_longer_after_a_bad_probe():
    breaker, now, rest = opened(), 0.0, REST_SECONDS
    for _ in range(10):
        assert not breaker.allows(now + rest * 0.99)
        now += rest
        assert asks(breaker, now)
        breaker.note(0, 1, now)
        assert breaker.circuit is Circuit.OPEN
        rest = min(rest * 2, RULES.longest_rest_seconds)
    assert rest == RULES.longest_rest_seconds


def test_breaker_asks_again_if_its_probes_never_come_back():
    breaker = opened()
    for _ in range(PROBES):
        assert asks(breaker, REST_SECONDS)
    assert not breaker.allows(REST_SECONDS)
    assert breaker.allows(3 * REST_SECONDS)


def test_breaker_follows_the_rules_that_it_is_given():
    breaker = Breaker(BreakerRules(rows=4, failing_share=0.25, window_seconds=1.0, probes=1))
    breaker.note(3, 1, 0.0)
    assert breaker.circuit is Circuit.OPEN
    assert asks(breaker, REST_SECONDS)
    assert not asks(breaker, REST_SECONDS)
    breaker.note(1, 0, REST_SECONDS)
    assert breaker.circuit is Circuit.CLOSED


def test_breaker_keeps_its_state_when_its_rules_change():
    breaker = Breaker()
    breaker.note(0, 9, 0.0)
    breaker.rules = BreakerRules(rows=10)
    assert breaker.circuit is Circuit.CLOSED
    breaker.note(0, 1, 0.0)
    assert breaker.circuit is Circuit.OPEN
    breaker.rules = BreakerRules(rest_seconds=0.5)
    assert breaker.circuit is Circuit.OPEN
    assert breaker.allows(0.5)


def test_breaker_tells_each_change_of_its_circuit():
    told = []
    breaker = Breaker(changed=lambda: told.append(breaker.circuit))
    breaker.note(0, ROWS, 0.0)
    breaker.note(0, 1, 0.0)
    for _ in range(PROBES):
        asks(breaker, REST_SECONDS)
    breaker.note(PROBES, 0, REST_SECONDS)
    assert told == [Circuit.OPEN, Circuit.HALF_OPEN, Circuit.CLOSED]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0.0, 20.0), st.booleans()))
)
def test_breaker_always_comes_back_to_a_version_that_works(events):
    breaker, now = Breaker(), 0.0
    for good, bad, pause, wants in events:
        now += pause
        if wants:
            asks(breaker, now)
        breaker.note(good, bad, now)
    for _ in range(20):
        now += RULES.longest_rest_seconds + 1.0
        if asks(breaker, now):
            breaker.note(1, 0, now)
    assert breaker.circuit is Circuit.CLOSED
