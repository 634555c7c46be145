from hypothesis import given
from hypothesis import strategies as st

from serinus.serving.workers.scaling import DOWN_SECONDS, UP_SECONDS, Scaler


def run(scaler, busy, seconds, start=0.0):
    """Tell it the same load of each worker twice a second; how many it wants in the end."""
    now = start
    while now <= start + seconds:
        scaler.note([busy] * scaler.wanted, now)
        now += 0.5
    return scaler.wanted


def test_scaler_adds_workers_one_by_one_while_all_are_busy():
    scaler = Scaler(1, 3)
    assert run(scaler, 0.95, UP_SECONDS - 1) == 1
    assert run(scaler, 0.95, 30 * UP_SECONDS) == 3


def test_scaler_a_short_peak_adds_nobody():
    scaler = Scaler(1, 4)
    for second in range(0, 60, 4):
        run(scaler, 0.95, UP_SECONDS - 1, float(second))
        scaler.note([0.1], second + 3.5)
    assert scaler.wanted == 1


def test_scaler_takes_workers_away_slowly_and_never_below_the_least():
    scaler = Scaler(2, 4)
    run(scaler, 0.95, 10 * UP_SECONDS)
    assert scaler.wanted == 4
    assert run(scaler, 0.05, DOWN_SECONDS - 5, 1_000.0) == 4
    assert run(scaler, 0.05, 10 * DOWN_SECONDS, 2_000.0) == 2


def test_scaler_waits_until_a_new_worker_is_there():
    scaler = Scaler(1, 4)
    for step in range(20):
        scaler.note([0.95], step * UP_SECONDS)
    assert scaler.wanted == 2


@given(st.integers(1, 4), st.integers(1, 8), st.lists(st.floats(0, 1), max_size=200))
def test_scaler_stays_within_its_bounds(least, most, loads):
    scaler = Scaler(least, most)
    for step, load in enumerate(loads):
        wanted = scaler.note([load] * scaler.wanted, step * 5.0)
        assert least <= wanted <= max(least, most)
