import json

import pytest

from serinus.bench import serve
from serinus.bench.bars import Bar
from serinus.bench.footprint import Resident, Workers
from serinus.bench.peers.field import State
from serinus.bench.turns import Pace, Served
from serinus.errors import InvalidInput


def served(name, *, ratio=1.0, times=1.0, p99_ms=1.0, per_second=100.0, late_ms=0.0):
    return Served(name, per_second, 0.5, p99_ms, 50.0, ratio, times, 200, 0, 0.4, late_ms)


def peer(name, **changes):
    return State(name, (f"{name}==1",), **{"is_reference": False, **changes})


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
    told = []
    report = serve.run(Pace(0.2, 1, 4), ["logistic", "latency"], tell=told.append)
    bare, gateway = report.single["logistic"]
    assert (bare.name, gateway.name) == (serve.BARE, serve.GATEWAY)
    for item in (bare, gateway, *report.steady):
        assert item.requests > 0
        assert item.refused == 0
        assert 0 < item.p50_ms <= item.p99_ms
    assert (bare.ratio, gateway.times) == (1.0, 1.0)
    assert report.steady[1].requests == pytest.approx(gateway.per_second / 2 * 0.2, abs=1)
    assert report.forms == {"logistic": "onnx"}
    assert len(report.bars) == 2
    found = json.loads(json.dumps(report.as_dict()))
    assert found["pace"] == {"seconds": 0.2, "rounds": 1, "connections": 4}
    assert found["holds"] == all(bar["holds"] for bar in found["bars"])
    assert told == ["measuring logistic"]


def whole():
    """A report with every part."""
    return serve.ServeReport(
        Pace(1, 1, 1),
        2,
        forms=dict.fromkeys(serve.TIMES, "onnx"),
        single={
            kind: (
                served(serve.BARE, times=0.8),
                served(serve.GATEWAY, ratio=0.8),
                served("slow", times=60),
                served("quick", times=20),
                served("reference", times=2),
            )
            for kind in serve.TIMES
        },
        batch=(served(serve.GATEWAY, per_second=120),),
        steady=(served(serve.BARE), served(serve.GATEWAY, p99_ms=6.0, late_ms=2.5)),
        workers=Workers(50.0, 54.0, 1.08, 100.0, 190.0),
        memory=(Resident(1, 90_000_000, 60_000_000), Resident(11, 120_000_000, 80_000_000)),
        peers=(
            peer("slow"),
            peer("quick"),
            peer("absent", faults={"environment": "no such release"}),
            peer("reference", is_reference=True),
        ),
    )


def test_bars_are_set_beside_what_was_measured():
    found = {bar.name: bar for bar in serve.bars_of(whole())}
    assert {name: (bar.measured, bar.holds) for name, bar in found.items()} == {
        "single rows, of bare ASGI": (0.8, True),
        "logistic, times the best peer (quick)": (20, True),
        "forest, times the best peer (quick)": (20, False),
        "boosted, times the best peer (quick)": (20, True),
        "p99 at half of the peak rate": (6.0, False),
        "batches of 1,000 rows": (120_000, True),
        "processor time of a request, two workers to one": (1.08, True),
        "memory of a worker": (90, True),
        "memory of a further model": (3, True),
    }
    assert found["forest, times the best peer (quick)"].note == "without absent"
    assert found["p99 at half of the peak rate"].note == "the load itself was 2.50 ms late"


def test_bar_of_peers_is_open_if_none_was_measured():
    report = whole()
    report.single = {"forest": (served(serve.BARE), served(serve.GATEWAY))}
    found = {bar.name: bar for bar in serve.bars_of(report)}
    bar = found["forest, times the best peer"]
    assert bar.holds is None
    assert bar.note == "without absent, quick, slow"


def test_report_shows_every_bar_and_every_peer_that_is_missing():
    report = whole()
    report.bars = tuple(serve.bars_of(report))
    text = str(report)
    assert all(bar.name in text for bar in report.bars)
    assert "absent was not measured (environment): no such release" in text
    assert "single rows, forest (served as onnx)" in text


def test_report_holds_if_no_bar_is_missed():
    report = serve.ServeReport(Pace(1, 1, 1), 2)
    report.bars = (Bar("a", 1, at_least=1), Bar("b", None, at_least=1))
    assert report.holds
    report.bars = (*report.bars, Bar("c", 0, at_least=1))
    assert not report.holds
