import json

import pytest

from serinus.bench import serve
from serinus.bench.bars import Bar
from serinus.bench.turns import Pace
from serinus.errors import InvalidInput


@pytest.mark.parametrize(
    ("pace", "where"),
    [
        (Pace(0, 1, 1), "seconds"),
        (Pace(1, -1, 1), "rounds"),
        (Pace(1, 1, 0), "connections"),
    ],
)
def test_run_refuses_numbers_of_no_sense(pace, where):
    with pytest.raises(InvalidInput) as caught:
        serve.run(pace)
    assert caught.value.where == where


def test_run_refuses_a_part_that_is_none():
    with pytest.raises(InvalidInput, match="no part 'singel'"):
        serve.run(Pace(1, 1, 1), ["singel"])


def test_run_measures_real_servers():
    report = serve.run(Pace(0.2, 1, 4), ["logistic", "batch", "latency", "workers", "memory"])
    bare, gateway = report.single["logistic"]
    assert (bare.name, gateway.name) == (serve.BARE, serve.GATEWAY)
    for item in (bare, gateway, *report.batch, *report.steady):
        assert item.requests > 0
        assert item.refused == 0
        assert 0 < item.p50_ms <= item.p99_ms
    assert bare.ratio == 1.0
    assert report.steady[1].per_second == pytest.approx(gateway.per_second / 2, rel=0.2)
    assert 0 < report.workers.one_us < 10_000
    one, many = report.memory
    assert (one.models, many.models) == (1, 11)
    assert one.rss > 20e6
    assert [bar.name for bar in report.bars if bar.holds is None] == []
    assert len(report.bars) == 6
    found = json.loads(json.dumps(report.as_dict()))
    assert found["pace"] == {"seconds": 0.2, "rounds": 1, "connections": 4}
    assert found["holds"] == all(bar["holds"] for bar in found["bars"])
    assert all(bar.name in str(report) for bar in report.bars)


def test_report_holds_if_no_bar_is_missed():
    report = serve.ServeReport(Pace(1, 1, 1), 2)
    report.bars = (Bar("a", 1, at_least=1), Bar("b", None, at_least=1))
    assert report.holds
    report.bars = (*report.bars, Bar("c", 0, at_least=1))
    assert not report.holds
