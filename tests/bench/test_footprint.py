from serinus.bench import footprint, launch
from serinus.bench.turns import Pace

PACE = Pace(0.3, 1, 4)


def test_workers_cost_is_processor_time_of_a_request(home):
    found = footprint.workers("logistic", home, launch.cores(), PACE)
    # Shared with their load, they cannot have used more than a core each.
    assert 0 < found.one_us <= 1.1e6 / found.one_per_second
    assert 0 < found.two_us <= 2.2e6 / found.two_per_second
    assert found.ratio == found.two_us / found.one_us


def test_resident_memory_of_a_worker(home):
    found = footprint.resident(home, 2, launch.cores(), PACE)
    assert found.models == 2
    assert 20e6 < found.pss <= found.rss
