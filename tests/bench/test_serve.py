import json

import pytest

from serinus.bench import serve
from serinus.bench.load import Tally
from serinus.errors import InvalidInput


def tally(per_second, p50=1.0):
    return Tally(int(per_second * 2), 0, 2.0, p50, 2.0)


def test_summary_takes_medians_and_the_ratio_within_rounds():
    found = serve.summarise(
        {
            serve.BARE: [tally(100), tally(200), tally(400)],
            "gateway": [tally(50, 3.0), tally(150, 1.0), tally(100, 2.0)],
        }
    )
    bare, gateway = found
    assert (bare.requests_per_second, bare.ratio) == (200, 1.0)
    assert (gateway.requests_per_second, gateway.p50_ms) == (100, 2.0)
    assert gateway.ratio == 0.5
    assert gateway.requests == 600


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"rounds": -1}, {"connections": 0}])
def test_run_refuses_numbers_of_no_sense(wrong):
    with pytest.raises(InvalidInput) as caught:
        serve.run(**wrong)
    assert caught.value.where in wrong


def test_run_measures_real_servers():
    report = serve.run(seconds=0.2, rounds=1, connections=4)
    assert report.servers[0].name == serve.BARE
    assert len(report.servers) == 3
    for item in report.servers:
        assert item.requests > 0
        assert item.refused == 0
        assert 0 < item.p50_ms <= item.p99_ms
    assert report.servers[0].ratio == 1.0
    assert json.loads(json.dumps(report.as_dict()))["rounds"] == 1
    assert len({len(line) for line in str(report).splitlines()}) == 1
    assert [row[0] for row in report.table()[1:]] == [item.name for item in report.servers]
