from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import log

import pytest

from serinus.client.types import (
    Assessment,
    Gate,
    LatencyScale,
    Look,
    Plan,
    QualityScale,
    Step,
    Verdict,
)
from serinus.dashboard import figures
from serinus.delivery.planning.budget import ALPHAS

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
PLAN = Plan(
    steps=(Step(0.1, 0.0, Gate(), 1, 0.0, 1.0), Step(0.5, 0.0, Gate(), 1, 0.0, 1.0)),
    guardrails=(),
    quality=QualityScale("classification", 1.0, 0.1),
    latency=LatencyScale(0.1, 5_000.0, 1.5, 1.25),
    value=None,
    score_cuts=(),
    classes=(),
    same_within=0.0,
    promote_alpha=0.025,
    unit="request",
    salt="",
    label_window_seconds=1.0,
    label_coverage=0.9,
    load_seconds=1.0,
    soak_seconds=1.0,
    auto_promote=True,
)


def look(step: int, *rails: tuple[str, int, float, float | None]) -> Look:
    """A look at some guardrails: kind, requests, log e-values of harm and of safety."""
    made = tuple(
        Assessment(
            kind, "open", requests, requests // 2, 0.0, 0.0, harm, log(100), safe, log(40), "", ""
        )
        for kind, requests, harm, safe in rails
    )
    return Look(BEGIN, step, Verdict("continue", "", 10, 0.01, made))


def test_evidence_draws_a_panel_for_each_guardrail_with_requests() -> None:
    looks = [
        look(
            0, ("quality", 10, 0.5, None), ("errors", 10, 0.1, 0.2), ("shadow_errors", 0, 0.0, 0.0)
        ),
        look(
            1, ("quality", 20, 0.7, None), ("errors", 30, -9.0, 3.0), ("shadow_errors", 0, 0.0, 0.0)
        ),
    ]

    figure = figures.evidence(looks, plan=PLAN)

    titles = [item.text for item in figure.layout.annotations]
    assert titles[:2] == ["Errors", "Labelled quality"]
    curves = [(item.name.split(":")[0], list(item.x), list(item.y)) for item in figure.data]
    assert curves == [
        ("harm", [10, 30], [0.1, pytest.approx(log(1 / 50))]),
        ("safety", [10, 30], [0.2, 3.0]),
        ("harm", [10, 20], [0.5, 0.7]),
    ]
    bounds = {round(item.y0, 6) for item in figure.layout.shapes if item.y0 == item.y1}
    assert bounds == {round(log(100), 6), round(log(40), 6)}
    assert "50 %" in titles


def test_evidence_keeps_the_bound_of_a_step_that_is_over() -> None:
    looks = [look(0, ("errors", 10, 0.1, 4.5)), look(1, ("errors", 20, 0.1, None))]

    figure = figures.evidence(looks)

    assert log(40) in [item.y0 for item in figure.layout.shapes]


def test_evidence_of_nothing_is_an_empty_figure() -> None:
    assert list(figures.evidence([]).data) == []
    assert list(figures.evidence([look(0, ("errors", 0, 0.0, 0.0))]).data) == []


CUTS = (0.1, 0.5, 0.9)


def test_scores_draws_each_arm_within_its_band() -> None:
    counts = [[100, 400, 400, 100], [700, 200, 50, 50]]
    figure = figures.scores(CUTS, counts)

    named = {item.name: item for item in figure.data if item.name}
    assert list(named) == ["champion, 1,000 answers", "challenger, 1,000 answers"]
    champion, challenger = named.values()
    assert list(champion.x) == list(CUTS)
    assert list(champion.y) == pytest.approx([0.1, 0.5, 0.9])
    assert list(challenger.y) == pytest.approx([0.7, 0.9, 0.95])
    lows, highs = figure.data[0::3], figure.data[1::3]
    for low, curve, high in zip(lows, named.values(), highs, strict=True):
        assert all(a < b < c for a, b, c in zip(low.y, curve.y, high.y, strict=True) if c < 1)
        assert max(high.y) <= 1
        assert high.fill == "tonexty"
    # So many answers tell them apart at the lowest cut, and not at the highest.
    assert highs[0].y[0] < lows[1].y[0]
    assert highs[0].y[2] > lows[1].y[2]


def test_scores_draws_a_band_that_narrows_with_answers() -> None:
    few, many = (
        figures.scores(CUTS, [[times, times, times, times], [0, 0, 0, 0]]) for times in (50, 5_000)
    )
    assert [item.name for item in few.data if item.name] == ["champion, 200 answers"]
    assert few.data[1].y[1] - few.data[0].y[1] > 5 * (many.data[1].y[1] - many.data[0].y[1])


@pytest.mark.parametrize("cuts", [(), CUTS])
def test_scores_of_nothing_is_an_empty_figure(cuts: tuple[float, ...]) -> None:
    assert list(figures.scores(cuts, [[0] * (len(cuts) + 1)] * 2).data) == []


def test_drift_marks_alarms() -> None:
    windows = [
        {"closed_at": BEGIN + timedelta(hours=number), "score": score, "alarm": alarm,
         "deviations": {"age": score, "amount": 0.1}}
        for number, score, alarm in ((1, 9.0, True), (0, 0.5, False))
    ]  # fmt: skip

    (curve,) = figures.drift(windows).data

    assert list(curve.y) == [0.5, 9.0]
    assert list(curve.marker.color) == [figures.SAFETY, figures.HARM]
    assert curve.customdata[1] == "age"


def test_performance_draws_each_version_with_its_interval() -> None:
    measure = {"name": "accuracy", "value": 0.9, "low": 0.85, "high": 0.94, "test": 0.92}
    windows = [
        {"version": version, "opened_at": BEGIN, "measures": [measure]}
        for version in ("1.1.0", "1.0.0", "1.0.0")
    ] + [{"version": "0.9.0", "opened_at": BEGIN, "measures": []}]

    figure = figures.performance(windows)

    names = [curve.name for curve in figure.data]
    assert names == [
        "1.0.0 live, 95 % interval",
        "1.0.0 in its test",
        "1.1.0 live, 95 % interval",
        "1.1.0 in its test",
    ]
    assert figure.data[0].error_y.array[0] == pytest.approx(0.04)
    assert figure.layout.yaxis.title.text == "accuracy"


def test_performance_without_labels_is_empty() -> None:
    assert list(figures.performance([]).data) == []


def test_evidence_has_a_title_for_every_guardrail() -> None:
    assert set(figures.TITLES) == set(ALPHAS)


def test_evidence_of_pairs_is_counted_in_pairs() -> None:
    looks = [look(0, ("disagreement", 10, 0.5, None), ("latency", 10, 0.1, 0.2))]

    figure = figures.evidence(looks)

    assert figure.layout.xaxis.title.text == "requests"
    assert figure.layout.xaxis2.title.text == "pairs"
