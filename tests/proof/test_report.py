from __future__ import annotations

import io
import math
from dataclasses import replace

from rich.console import Console

from serinus.proof import claims, report
from serinus.proof.types import Bar, Finding


def finding(**given):
    bar = Bar(**{"name": "false rollbacks", "unit": "of runs", "figure": 0.01,
                 "confidence_limit": 0.02, "relation": "<=", "limit": 0.05, "by_confidence": True,
                 "others": {"naive": 0.7, "never": math.inf}, **given})  # fmt: skip
    return Finding(
        "aa", "We rarely err.", (bar,), 1_000, 7, 3.2, {"by guardrail": {"errors": 0.01}}
    )


def text(shown):
    written = io.StringIO()
    Console(width=120, file=written).print(shown)
    return written.getvalue()


def test_finding_tells_figure_limit_others_and_seed():
    told = text(report.finding(finding()))
    for part in ("We rarely err.", "1.00 %", "2.00 %", "<= 5.00 %", "holds", "naive", "70.00 %",
                 "never", "1,000 runs", "seed 7", "by guardrail: errors 0.01"):  # fmt: skip
        assert part in told, part


def test_many_bars_are_compared_in_several_tables():
    (bar,) = finding().bars
    many = replace(finding(), bars=(bar,) * 16)
    told = text(report.finding(many))
    assert told.count("naive") == 3
    assert told.count("70.00 %") == 16


def test_finding_that_fails_says_so_and_whether_more_runs_could_help():
    assert "FAILS" in text(report.finding(finding(figure=0.2, confidence_limit=0.3)))
    assert "TOO FEW RUNS" in text(report.finding(finding(confidence_limit=0.3)))


def test_figure_without_a_limit_is_told():
    told = text(report.finding(finding(limit=None, figure=0.9)))
    assert "90.00 %" in told
    assert " told" in told
    assert "<=" not in told


def test_document_of_several_is_one():
    one, two = finding(), finding(figure=0.2, confidence_limit=0.3)
    assert report.document([one]) == one.as_dict()
    both = report.document([one, two])
    assert (both["claim"], both["passed"], len(both["findings"])) == ("all", False, 2)


def test_listing_names_every_claim():
    told = text(report.listing(claims.CLAIMS.values()))
    assert all(name in told for name in (*claims.CLAIMS, "all"))


def test_number_is_in_the_bars_unit():
    bar = finding().bars[0]
    assert report.number(bar, 0.0312) == "3.12 %"
    times = Bar("found", "requests", 1_520.0, None, "<=", 1_800.0)
    assert report.number(times, 1_520.0) == "1,520"
    assert report.number(times, math.inf) == "never"
    assert report.number(times, 1.1013) == "1.1"
