"""Judges closed windows: distances to the reference, their rank among all, the alarm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serinus import clock
from serinus.monitoring.cells import Baseline
from serinus.monitoring.profile import Window
from serinus.monitoring.types import DriftWindow
from serinus.stats import conformal


@dataclass(frozen=True)
class Calibration:
    """What is usual for a version: log-distances of its windows since the last alarm.

    ``past`` is windows by features, in the baseline's order; ``detector`` the evidence so far.
    """

    past: NDArray[np.float64]
    detector: float


def calibration(baseline: Baseline, windows: list[DriftWindow]) -> Calibration:
    """The calibration that a version's judged windows since its last alarm (excluded) add up to."""
    names = list(baseline.bins)
    past = [
        conformal.log_distance([window.distances[name] for name in names], window.rows)
        for window in windows
    ]
    detector = windows[-1].detector if windows else 0.0
    return Calibration(np.array(past).reshape(len(past), len(names)), detector)


def judge(
    window: Window, baseline: Baseline, usual: Calibration, run_length: float
) -> tuple[DriftWindow, Calibration]:
    """Judge a closed window; with what is usual afterwards, which an alarm begins anew.

    Args:
        window: closed, and counted over this baseline.
        baseline: of the version in production.
        usual: of the windows before.
        run_length: windows between false alarms, on average at least.
    """
    distances = {
        name: conformal.jensen_shannon(baseline.counts[name], window.counts[name])
        for name in baseline.bins
    }
    newest = conformal.log_distance(list(distances.values()), window.rows)
    found = conformal.surprise(usual.past, newest)
    detector = conformal.shiryaev_roberts(usual.detector, found.e_value)
    alarm = detector >= run_length
    judged = DriftWindow(
        model=window.model,
        version=window.version,
        window=window.number,
        opened_at=clock.from_epoch_us(window.opened_at),
        closed_at=clock.from_epoch_us(window.closed_at or window.opened_at),
        rows=window.rows,
        distances=distances,
        deviations=dict(zip(distances, found.deviations, strict=True)),
        score=found.score,
        p_value=found.p_value,
        detector=detector,
        alarm=alarm,
    )
    if alarm:
        return judged, Calibration(usual.past[:0], 0.0)
    past = np.vstack([usual.past[1 - conformal.CAP :], newest])
    return judged, Calibration(past, detector)
