import pytest

from serinus.bench import launch, speed
from serinus.bench.turns import Pace


@pytest.fixture(scope="module")
def pair(home):
    with speed.start("logistic", home, launch.cores(), Pace(0.2, 2, 4)) as started:
        yield started


def test_single_rows_of_both_servers(pair):
    taken = pair.single()
    assert list(taken.rounds) == [speed.BARE, speed.GATEWAY]
    assert taken.lost == {}
    for tallies in taken.rounds.values():
        assert len(tallies) == 2
        assert all(tally.answered > 10 for tally in tallies)
        assert all(tally.refused == 0 for tally in tallies)
        assert sum(tally.cpu_us for tally in tallies) > 0


def test_steady_keeps_its_rate(pair):
    for tallies in pair.steady(100).values():
        assert [tally.answered for tally in tallies] == [20, 20]
        assert all(tally.refused == 0 for tally in tallies)


def test_batches_are_answered(pair):
    [tallies] = pair.batch().values()
    assert all(tally.answered > 0 for tally in tallies)
    assert all(tally.refused == 0 for tally in tallies)
