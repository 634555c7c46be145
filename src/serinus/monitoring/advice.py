"""From what is known of a model to a recommendation, with reasons a person can read.

- Labels prove that the version in production answers worse than in its test: retrain at once.
- Its traffic has drifted, but no label proves harm: retrain soon.
- Too many of its requests fail: look, or go back to the version before; a retraining helps little.
- None of these, or too little is known: nothing. No data never alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
import numpy as np
from sqlalchemy import Connection

from serinus.monitoring import performance, repository
from serinus.monitoring.performance import Shortfall, Sums
from serinus.monitoring.profile import Window
from serinus.monitoring.rise import Rise, Watched
from serinus.monitoring.types import OUTPUT, Action, DriftWindow, Recommendation, State
from serinus.stats import bins, conformal

_MOST_FEATURES = 3
_PERFORMANCE_WINDOWS = 20


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that a recommendation rests on.

    Attributes:
        model: the model it is about.
        facts: of the version in production, None if there is none.
        windows: judged windows of that version since its last alarm.
        detector: the evidence that they add up to.
        run: windows up to its last alarm, which is the last of them; empty without an alarm.
        profile: the counts of the window that alarmed.
        performance: number, opening and sums of its newest closed windows, oldest first.
        rises: of its failing share and of its loss, as far as they were watched.
    """

    model: str
    facts: repository.Facts | None
    windows: int = 0
    detector: float = 0.0
    run: tuple[DriftWindow, ...] = ()
    profile: Window | None = None
    performance: tuple[tuple[int, datetime, Sums], ...] = ()
    rises: Mapping[Watched, Rise] = msgspec.field(default_factory=dict)

    def found(self, watched: Watched) -> Rise | None:
        """The rise that is in force, None without one."""
        held = self.rises.get(watched)
        return held if held is not None and held.found_at is not None else None


def gather(connection: Connection, model: str) -> Situation:
    """Read what is known of a model."""
    facts = next(iter(repository.version_facts(connection, model).values()), None)
    if facts is None:
        return Situation(model=model, facts=None)
    alarm = repository.last_alarm(connection, model, facts.version)
    windows, detector = repository.progress(connection, model, facts.version, alarm)
    rows = repository.performance_rows(connection, model, facts.version, limit=_PERFORMANCE_WINDOWS)
    return Situation(
        model=model,
        facts=facts,
        windows=windows,
        detector=detector,
        run=() if alarm is None else tuple(repository.alarm_run(connection, alarm)),
        profile=None
        if alarm is None
        else repository.window(connection, model, facts.version, alarm.window),
        performance=tuple(
            (row.window, row.opened_at, sums) for row, sums in rows if row.closed_at is not None
        )[::-1],
        rises=repository.rises(connection, model, facts.version),
    )


def recommend(situation: Situation, run_length: float) -> Recommendation:
    """What to do, why, and since when there is reason to."""
    facts = situation.facts
    if facts is None:
        return _nothing(State.IDLE, 0, f"No version of {situation.model} is in production.")
    short = performance.shortfall(
        [(number, sums) for number, _, sums in situation.performance],
        facts.manifest.task,
        facts.expected,
    )
    loss, failing = situation.found(Watched.LOSS), situation.found(Watched.FAILING)
    reasons = [_shortfall(short)] if short else []
    since = situation.performance[-short.windows][1] if short else None
    if loss:
        reasons.append(_lossy(loss, facts, run_length))
        since = since or loss.since
    state = _state(situation)
    if situation.run:
        start = conformal.change_start([window.p_value for window in situation.run])
        since = situation.run[start].opened_at
        reasons += _drift(situation, start, run_length)
    else:
        reasons.append(_calm(state, situation, run_length))
    if not short:
        reasons.append(_performance(situation))
    if failing:
        reasons.insert(0 if since is None else len(reasons), _failing(failing, facts, run_length))
        since = since or failing.since
    action = _action(
        worse=bool(short or loss), drifting=bool(situation.run), failing=failing is not None
    )
    alarm = situation.run[-1] if situation.run else None
    return Recommendation(
        action=action,
        reasons=tuple(reasons),
        since=since,
        state=state,
        windows=situation.windows,
        alarm=None if alarm is None else f"{alarm.model}/{alarm.version}/{alarm.window}",
    )


def _action(*, worse: bool, drifting: bool, failing: bool) -> Action:
    if worse:
        return Action.RETRAIN_IMMEDIATELY
    if drifting:
        return Action.RETRAIN_SOON
    return Action.LOOK_AT_FAILURES if failing else Action.NO_ACTION_NEEDED


def _nothing(state: State, windows: int, reason: str) -> Recommendation:
    return Recommendation(
        action=Action.NO_ACTION_NEEDED,
        reasons=(reason,),
        since=None,
        state=state,
        windows=windows,
        alarm=None,
    )


def _state(situation: Situation) -> State:
    if situation.run:
        return State.DRIFTING
    if situation.facts is None or not situation.facts.reference.get("features"):
        return State.IDLE
    return State.CALIBRATING if situation.windows < conformal.CALIBRATION else State.WATCHING


# ------------------------------------------------------------------ in words


def _calm(state: State, situation: Situation, run_length: float) -> str:
    if state is State.IDLE:
        return "The version has no reference profile, so drift cannot be judged."
    if state is State.CALIBRATING:
        return (
            "Not enough windows yet to know what is usual "
            f"({situation.windows} of {conformal.CALIBRATION})."
        )
    return (
        f"No drift in {situation.windows} windows: the evidence stands at "
        f"{situation.detector:.3g} of the {run_length:,.0f} that alarm."
    )


def _drift(situation: Situation, start: int, run_length: float) -> list[str]:
    """What alarmed, and which columns moved how far."""
    alarm = situation.run[-1]
    lines = [
        f"The traffic of {alarm.model} {alarm.version} has drifted since "
        f"{situation.run[start].opened_at:%Y-%m-%d %H:%M:%S} UTC: found in window {alarm.window}, "
        f"{len(situation.run) - start} windows later; without drift such an alarm comes once in "
        f"{run_length:,.0f} windows at most, on average."
    ]
    quiet = situation.run[:start] or situation.run
    ranked = sorted(alarm.deviations, key=lambda name: -alarm.deviations[name])
    for name in ranked[:_MOST_FEATURES]:
        if alarm.deviations[name] < alarm.score / 3:
            break
        usual = float(np.median([window.distances[name] for window in quiet]))
        lines.append(
            f"{_called(name)} moved: {alarm.distances[name]:.3f} bits from training, usually "
            f"{usual:.3f} ({alarm.deviations[name]:.1f} spreads above){_largest(situation, name)}."
        )
    return lines


def _largest(situation: Situation, name: str) -> str:
    """The cell whose share of rows has changed most, in words."""
    facts, profile = situation.facts, situation.profile
    if facts is None or profile is None or name not in profile.counts:
        return ""
    reference = facts.reference
    part = reference["output"] if name == OUTPUT else reference["features"][name]
    now, before = profile.counts[name], np.array(part["counts"])
    if not (now.sum() and before.sum()) or len(now) != len(before):
        return ""
    now, before = now / now.sum(), before / before.sum()
    cell = int(np.argmax(np.abs(now - before)))
    held = bins.cells(bins.from_dict(part["bins"]))[cell]
    return f"; {held}: {now[cell]:.0%} of rows, {before[cell]:.0%} in training"


def _shortfall(short: Shortfall) -> str:
    measure = short.measure
    windows = "the newest window" if short.windows == 1 else f"the newest {short.windows} windows"
    return (
        f"Live {measure.name} is {measure.value:.4g} ({measure.low:.4g} to {measure.high:.4g}) "
        f"over {short.rows} labels of {windows}: clearly worse than {measure.test:.4g} in its test."
    )


def _failing(found: Rise, facts: repository.Facts, run_length: float) -> str:
    return (
        f"More than {100 * found.limit.mean:.3g} % of the requests to version {facts.version} fail "
        f"since {found.since:%Y-%m-%d %H:%M:%S} UTC: {found.total:,.0f} of {found.observations:,}; "
        f"{_seldom(run_length)} Its failures say why; a rollback brings the version before it back."
    )


def _lossy(found: Rise, facts: repository.Facts, run_length: float) -> str:
    mean, most = found.total / found.observations, found.limit.mean
    said, bar = (
        (f"the mean absolute error is {mean:.4g}", f"{most:.4g}")
        if facts.manifest.task == "regression"
        else (f"{100 * mean:.3g} % of the answers are wrong", f"{100 * most:.3g} %")
    )
    return (
        f"By {found.observations:,} labels since {found.since:%Y-%m-%d %H:%M:%S} UTC {said}: above "
        f"{bar}, which its test and a tolerance leave; {_seldom(run_length)}"
    )


def _seldom(run_length: float) -> str:
    return (
        f"without such a rise this is found once in {run_length:,.0f} windows at most, on average."
    )


def _performance(situation: Situation) -> str:
    total = sum((sums for _, _, sums in situation.performance), Sums())
    facts = situation.facts
    if facts is None or not total.rows:
        return "No labels have come yet, so performance is unknown."
    measure = performance.measures(total, facts.manifest.task, facts.expected.metrics)[0]
    tested = "" if measure.test is None else f"; in its test {measure.test:.4g}"
    return (
        f"Live {measure.name} is {measure.value:.4g} ({measure.low:.4g} to {measure.high:.4g}) "
        f"over {total.rows} labels{tested}."
    )


def _called(name: str) -> str:
    return "The model's own answer" if name == OUTPUT else name
