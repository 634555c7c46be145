from serinus.bench import turns
from serinus.bench.load import Tally


def tally(per_second, p50=1.0, refused=0):
    return Tally(int(per_second * 2), refused, 2.0, p50, 2.0, busy=0.5)


def test_summary_takes_medians_and_the_ratio_within_rounds():
    found = {
        "bare": [tally(100), tally(200), tally(400)],
        "gateway": [tally(50, 3.0), tally(150, 1.0, 2), tally(100, 2.0, 1)],
    }
    bare, gateway = turns.summarise(found)
    assert (bare.per_second, bare.ratio) == (200, 1.0)
    assert (gateway.per_second, gateway.p50_ms) == (100, 2.0)
    assert gateway.ratio == 0.5
    assert (gateway.requests, gateway.refused) == (600, 3)
    assert gateway.busy == 0.5
    # Not the inverse of a median by accident: 2, 4/3 and 4 have the median 2.
    assert turns.ratio(found, "bare", "gateway") == 2.0
