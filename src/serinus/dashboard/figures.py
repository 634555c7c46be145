"""Figures: one function each, from the client's values to a plotly figure.

The same figures are drawn in pages and in notebooks::

    figures.evidence(list(serinus.verdicts(id)), plan=serinus.deployment(id).deployment.plan)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from plotly import graph_objects as go
from plotly.subplots import make_subplots

from serinus.client.types import Assessment, Look, Plan, step_name
from serinus.stats import cdf_bands

# Apart for every kind of colour vision, and readable on light and on dark ground.
HARM = "#d9622b"
SAFETY = "#2b8cc4"
QUIET = "#8a8f98"
VERSIONS = (SAFETY, "#9a6fb8", "#3f9e6e", "#c99a06")
FONT = "system-ui, sans-serif"

TITLES = {
    "errors": "Errors",
    "service_level": "Service level",
    "latency": "Latency",
    "distribution": "Prediction distribution",
    "class_mix": "Class mix",
    "quality": "Labelled quality",
    "business": "Business value",
    "sample_ratio": "Sample ratio",
    "shadow_errors": "Errors in shadow",
    "shadow_quality": "Labelled quality in shadow",
    "disagreement": "Disagreement in shadow",
}
ODDS = (0.1, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
BAND_ALPHA = 0.05
"""How often a distribution ever leaves the band drawn around it."""
# Below one in fifty there is nothing to see but that there is no evidence at all.
_LOWEST = log(1 / 50)
_HEIGHT = 270


def evidence(looks: Sequence[Look], *, plan: Plan | None = None) -> go.Figure:
    """Each guardrail's evidence of harm and of safety against its bounds, over its requests.

    Args:
        looks: recorded verdicts, oldest first.
        plan: names the steps at whose beginnings a line is drawn; None draws none.

    Returns:
        A figure with one panel a guardrail. The vertical axis is the logarithm of the e-value,
        labelled in odds: crossing the upper dashed line of its colour decides.
    """
    kinds = _kinds_with_data(looks)
    rows = max(1, (len(kinds) + 1) // 2)
    columns = 2 if len(kinds) > 1 else 1
    figure = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=[TITLES.get(kind, kind) for kind in kinds],
        vertical_spacing=0.42 / rows,
        horizontal_spacing=0.09,
    )
    for number, kind in enumerate(kinds):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        _panel(figure, [_of(look, kind) for look in looks], place, legend=number == 0)
        if plan is not None:
            _steps(figure, looks, kind, plan, place)
    _style(figure, height=60 + rows * _HEIGHT)
    return figure


def _panel(
    figure: go.Figure,
    points: Sequence[Assessment | None],
    place: Mapping[str, int],
    *,
    legend: bool,
) -> None:
    seen = [point for point in points if point is not None and point.requests > 0]
    requests = [point.requests for point in seen]
    curves = (
        ("harm: the challenger is worse", HARM, [point.log_harm for point in seen]),
        ("safety: no margin is exceeded", SAFETY, [point.log_safe for point in seen]),
    )
    for name, colour, values in curves:
        if all(value is None for value in values):
            continue
        figure.add_scatter(
            x=requests,
            y=[None if value is None else max(value, _LOWEST) for value in values],
            name=name,
            legendgroup=name,
            showlegend=legend,
            mode="lines",
            line={"color": colour, "width": 2.2, "shape": "hv"},
            hovertemplate="%{x:,} requests: %{customdata}<extra></extra>",
            customdata=[_odds(value) for value in values],
            **place,
        )
    bounds = {HARM: seen[-1].harm_bound}
    asked = [point for point in seen if point.log_safe is not None]
    if asked:
        bounds[SAFETY] = asked[-1].safe_bound
    for colour, bound in bounds.items():
        figure.add_hline(
            y=bound, line={"color": colour, "width": 1.4, "dash": "dash"}, opacity=0.8, **place
        )
    highest = max(max(point.log_harm, point.log_safe or 0.0) for point in seen)
    top = min(max(highest, *bounds.values()), 2 * max(bounds.values())) + 0.8
    paired = seen[0].kind.startswith("shadow") or seen[0].kind == "disagreement"
    unit = "pairs" if paired else "requests"
    figure.update_xaxes(title_text=unit, title_standoff=4, rangemode="tozero", **place)
    figure.update_yaxes(
        tickvals=[log(odds) for odds in ODDS],
        ticktext=[f"{odds:,g} : 1" if odds >= 1 else f"1 : {1 / odds:g}" for odds in ODDS],
        range=[_LOWEST - 0.3, top],
        **place,
    )


def _steps(
    figure: go.Figure, looks: Sequence[Look], kind: str, plan: Plan, place: Mapping[str, int]
) -> None:
    """A quiet line where a step began, as far as this guardrail's requests tell."""
    before: int | None = None
    reach = max(point.requests for point in (_of(look, kind) for look in looks) if point)
    for look in looks:
        point = _of(look, kind)
        if point is not None and point.requests > 0 and before not in (None, look.step):
            figure.add_vline(
                x=point.requests,
                line={"color": QUIET, "width": 1, "dash": "dot"},
                annotation={
                    "text": step_name(plan, look.step),
                    "font": {"size": 11, "color": QUIET},
                    "yanchor": "top",
                },
                annotation_position="top right" if 2 * point.requests < reach else "top left",
                **place,
            )
        before = look.step


def scores(cuts: Sequence[float], counts: ArrayLike) -> go.Figure:
    """Both arms' distributions of scores as cumulative curves, each within its band.

    The bands hold at every look and everywhere at once (:mod:`serinus.stats.cdf_bands`). Where
    they part, the arms' scores differ; the guardrail, which looks at a few cuts and at one share
    of traffic at a time, knows it sooner.

    Args:
        cuts: shape (k,), ascending, the champion's deciles.
        counts: shape (2, k + 1), the champion's and the challenger's answers by cell; those equal
            to a cut are below it.

    Returns:
        A figure; empty without an answer.
    """
    figure = go.Figure()
    table = np.asarray(counts)
    shares, lows, highs = cdf_bands.band(table, BAND_ALPHA)
    arms = (("champion", SAFETY), ("challenger", HARM))
    for number, (arm, colour) in enumerate(arms):
        answers = int(table[number].sum())
        if not answers:
            continue
        edge = {
            "x": list(cuts),
            "mode": "lines",
            "legendgroup": arm,
            "hoverinfo": "skip",
            "line": {"color": colour, "width": 0},
            "showlegend": False,
        }
        figure.add_scatter(y=lows[number, :-1].tolist(), **edge)
        figure.add_scatter(
            y=highs[number, :-1].tolist(), fill="tonexty", fillcolor=_pale(colour), **edge
        )
        figure.add_scatter(
            x=list(cuts),
            y=shares[number, :-1].tolist(),
            name=f"{arm}, {answers:,} answers",
            legendgroup=arm,
            mode="lines+markers",
            line={"color": colour, "width": 2.2},
            hovertemplate="%{y:.1%} at or below<extra>" + arm + "</extra>",
        )
    figure.update_xaxes(title_text="score: deciles of the champion's", title_standoff=4)
    figure.update_yaxes(title_text="share at or below", range=[0, 1], tickformat=".0%")
    _style(figure, height=_HEIGHT + 60)
    return figure


def drift(windows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """How far each closed window's inputs are from the usual; alarms are marked.

    Args:
        windows: as the drift history gives them, newest first.
    """
    ordered = list(reversed(windows))
    times = [window["closed_at"] for window in ordered]
    figure = go.Figure()
    figure.add_scatter(
        x=times,
        y=[window["score"] for window in ordered],
        mode="lines+markers",
        line={"color": SAFETY, "width": 2},
        marker={
            "size": [11 if window["alarm"] else 6 for window in ordered],
            "color": [HARM if window["alarm"] else SAFETY for window in ordered],
        },
        customdata=[_most_moved(window) for window in ordered],
        hovertemplate="%{y:.1f} robust deviations, most: %{customdata}<extra></extra>",
        showlegend=False,
    )
    figure.update_yaxes(title_text="deviation from the usual", rangemode="tozero")
    _style(figure, height=_HEIGHT)
    return figure


def performance(windows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Each version's first metric by window with its interval, beside that of its own test.

    Args:
        windows: as the performance history gives them, newest first.
    """
    figure = go.Figure()
    measured = [window for window in reversed(windows) if window["measures"]]
    for number, version in enumerate(dict.fromkeys(window["version"] for window in measured)):
        own = [window for window in measured if window["version"] == version]
        _measured(figure, version, own, VERSIONS[number % len(VERSIONS)])
    name = measured[0]["measures"][0]["name"] if measured else ""
    figure.update_yaxes(title_text=name)
    _style(figure, height=_HEIGHT)
    return figure


def _measured(
    figure: go.Figure, version: str, windows: Sequence[Mapping[str, Any]], colour: str
) -> None:
    """One version's windows, and the figure of its test as a quiet line of the same colour."""
    times = [window["opened_at"] for window in windows]
    measures = [window["measures"][0] for window in windows]
    figure.add_scatter(
        x=times,
        y=[measure["value"] for measure in measures],
        mode="lines+markers",
        name=f"{version} live, 95 % interval",
        line={"color": colour, "width": 2},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [item["high"] - item["value"] for item in measures],
            "arrayminus": [item["value"] - item["low"] for item in measures],
            "thickness": 1.2,
            "width": 3,
        },
    )
    figure.add_scatter(
        x=times,
        y=[measure["test"] for measure in measures],
        mode="lines" if len(times) > 1 else "markers",
        name=f"{version} in its test",
        marker={"symbol": "line-ew-open", "size": 16, "color": colour},
        line={"color": colour, "width": 1.5, "dash": "dash"},
        opacity=0.7,
    )


def _style(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 64, "r": 16, "t": 64, "b": 48},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": QUIET},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container"},
        hovermode="x unified",
        uirevision="kept",
    )
    grid = {"gridcolor": "rgba(138,143,152,0.22)", "zeroline": False, "linecolor": QUIET}
    figure.update_xaxes(**grid)
    figure.update_yaxes(**grid)


def _kinds_with_data(looks: Sequence[Look]) -> list[str]:
    found: dict[str, None] = {}
    for look in looks:
        for rail in look.verdict.guardrails:
            if rail.requests > 0:
                found.setdefault(rail.kind)
    return [kind for kind in TITLES if kind in found] + [k for k in found if k not in TITLES]


def _of(look: Look, kind: str) -> Assessment | None:
    return next((rail for rail in look.verdict.guardrails if rail.kind == kind), None)


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _odds(log_e: float | None) -> str:
    if log_e is None:
        return "not asked"
    if log_e > log(1e6):
        return "over a million to 1"
    odds = 2.718281828459045**log_e
    return f"{odds:,.3g} to 1" if odds >= 1 else f"1 to {min(1 / odds, 1e6):,.3g}"


def _most_moved(window: Mapping[str, Any]) -> str:
    moved: Mapping[str, float] = window.get("deviations") or window.get("distances") or {}
    return max(moved, key=lambda name: moved[name]) if moved else "-"
