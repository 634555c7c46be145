"""The traffic that folding is measured on: a whole rollout of two equal versions."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np

from serinus.delivery.planning import plan
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase, QualityScale
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.wire import Arm, Assignment, Event, Label, Output, Prediction, Shadow, Value

SHARES = (0.05, 0.25, 0.5, 0.75)
EVERYTHING = {
    "score_shift": plan.SCORE_SHIFT,
    "class_odds": plan.CLASS_ODDS,
    "disagreement": plan.DISAGREEMENT,
    "value_cap": 10.0,
    "value_loss": 0.2,
}
"""The fields of a specification that turn every guardrail on."""

_MODEL = "bench"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_START_US = round(_AT.timestamp() * 1e6)
# Rates of the simulated traffic: failures, positives, and the spread of log latency.
_FAILING, _POSITIVE, _SPREAD = 0.01, 0.3, 0.5
_MEDIAN_US = 20_000
# The first fifth of the requests is mirrored; half of all are labelled, half of the others valued.
_MIRRORED, _TOLD = 0.2, 0.5
_EVENTS_A_REQUEST = 1 + _TOLD + _MIRRORED + (1 - _MIRRORED) * _TOLD
# What comes of a request comes so many requests later.
_DELAY = 2_000


def deployment(**judged: float) -> Deployment:
    """A running canary by the defaults, but for these fields of its specification."""
    asked = {"model": _MODEL, "challenger": "2.0.0", "shares": SHARES, **judged}
    spec = msgspec.convert(asked, DeploymentSpec)
    basis = plan.Basis(
        quality=QualityScale("classification", 1.0, 0.1),
        score_cuts=tuple(number / 10 for number in range(1, 10)),
        classes=(0, 1),
    )
    made = plan.make_plan(spec, basis, salt="bench")
    return Deployment(
        id="bench",
        model=_MODEL,
        champion="1.0.0",
        challenger="2.0.0",
        strategy="canary",
        spec=spec,
        plan=made,
        plan_hash=plan.plan_hash(made),
        phase=Phase.RUNNING,
        step=1,
        step_entered_at=_AT,
        verdict=Outcome.NO_DATA,
        reason="",
        requested_by="bench",
        created_at=_AT,
        updated_at=_AT,
        ended_at=None,
    )


def rollout(events: int, seed: int = 1) -> list[tuple[bytes, Event]]:
    """About so many events, with ids, as a ledger would give them: a mirror step, then a ramp.

    Half of the requests get a label and half of the live ones a value, a while later.
    """
    count = max(1, round(events / _EVENTS_A_REQUEST))
    mirrored = round(count * _MIRRORED)
    asked = predictions(mirrored, seed, shares=(0.0,)) + predictions(
        count - mirrored, seed + 1, after=mirrored
    )
    drawn = np.random.default_rng(seed + 2).random((2, count)) < _TOLD
    labelled, valued = drawn.tolist()
    found: list[tuple[bytes, Event]] = []
    for number in range(count + _DELAY):
        if number < count:
            found.append(asked[number])
            if number < mirrored:
                found.append((_other_id(len(found)), _mirrored(*asked[number])))
        if number >= _DELAY:
            identity, event = asked[number - _DELAY]
            if labelled[number - _DELAY]:
                found.append((_other_id(len(found)), label(identity, event)))
            if valued[number - _DELAY] and event.assignment.share:
                found.append((_other_id(len(found)), _value(identity, event)))
    return found


def predictions(
    count: int, seed: int = 1, *, shares: tuple[float, ...] = SHARES, after: int = 0
) -> list[tuple[bytes, Prediction]]:
    """Answers of two equal versions over a ramp of these shares, with ids from ``after`` on."""
    rng = np.random.default_rng(seed)
    step = np.arange(count) * len(shares) // max(count, 1)
    challenger = rng.random(count) < np.array(shares)[step]
    failed = rng.random(count) < _FAILING
    score = rng.random(count)
    latency = _MEDIAN_US * np.exp(_SPREAD * rng.standard_normal(count))
    routes = {
        (number, arm): Assignment(_MODEL, arm, share, number + 1, "bench", number + bool(share))
        for number, share in enumerate(shares)
        for arm in (Arm.CHAMPION, Arm.CHALLENGER)
    }
    columns = (step, challenger, failed, score, latency)
    return [
        (
            number.to_bytes(16, "big"),
            Prediction(
                _START_US + number,
                routes[at, Arm.CHALLENGER if drawn else Arm.CHAMPION],
                "2.0.0" if drawn else "1.0.0",
                (1.0, 2.0, 3.0),
                Output(int(positive > 1 - _POSITIVE), (1.0 - positive, positive)),
                int(slow),
                "ValueError" if fails and drawn else "",
            ),
        )
        for number, (at, drawn, fails, positive, slow) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True), after
        )
    ]


def label(identity: bytes, event: Prediction) -> Label:
    """What was true of an answer: always 1."""
    return Label(event.at + 1, identity, 1, event.at, event.assignment, event.version, event.output)


def _mirrored(identity: bytes, event: Prediction) -> Shadow:
    # One answer in 64 is another.
    mine = Output(1 - int(event.output.value)) if event.at % 64 == 0 else event.output
    given = event.assignment
    return Shadow(event.at + 1, identity, given, "2.0.0", event.output, mine, event.latency_us)


def _value(identity: bytes, event: Prediction) -> Value:
    worth = event.at % 1_000 / 100
    return Value(event.at + 2, identity, worth, event.at, event.assignment, event.version)


def _other_id(number: int) -> bytes:
    return (1 << 64 | number).to_bytes(16, "big")


def outcomes(count: int) -> Evidence:
    """As many pairs and outcomes, evenly over all levels: the widest tables that there can be."""
    widths = {
        Measure.LOSS: len(ev.LOSS_LEVELS),
        Measure.VALUE: len(ev.LOSS_LEVELS),
        Measure.PAIR_ERROR: len(ev.FAILURE_DIFFERENCES),
        Measure.PAIR_LOSS: len(ev.LOSS_DIFFERENCES),
        Measure.PAIR_FLIP: 2,
        Measure.PAIR_FLOOR: len(ev.FLIP_DIFFERENCES),
        Measure.MATURED: 2,
        Measure.PAIR_MATURED: 2,
    }
    live = (Measure.LOSS, Measure.VALUE)
    return Evidence(
        {
            measure: {
                share: np.full((2, wide), count // (2 * wide), np.int64)
                for share in (SHARES if measure in live else (0.0,))
            }
            for measure, wide in widths.items()
        }
    )
