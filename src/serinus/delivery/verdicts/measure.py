"""The e-values of each guardrail: pure functions of a plan and tables, of one look or of many.

Natural logarithms throughout; each result has the leading shape of the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np

from serinus.delivery.types import Gate, Guardrail, Kind, Plan, QualityScale
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Counts, Floats, Measure, Tables
from serinus.stats import (
    event_odds,
    mcnemar,
    mixing,
    multiplicity,
    ordinal_odds,
    paired_betting,
    sample_ratio,
    score_betting,
    service_level,
)
from serinus.stats.event_odds import Mixture
from serinus.stats.intervals import proportion
from serinus.stats.mixing import LogE

_HARM_ODDS = event_odds.harm_mixture()
# Slower than the margin is excluded by bets on every smaller ratio of slow requests.
_FASTER_ODDS = Mixture(np.geomspace(0.15, 0.8, 6), mixing.uniform(6))
_FAILED = np.array([0.0, 1.0])
# How sure the champion's own failing rate must be below what the soak allows.
_SURELY = 0.999
# Errors are rare wherever models run at all; the centre sets the speed, never the validity.
_ERROR_CENTRE = 0.01
# The ratio of errors is the faster question where they are common, the points where they are rare.
_ODDS_WEIGHT, _POINTS_WEIGHT = 0.85, 0.15
# An expected loss at the edge of [0, 1] would make one kind of stake pointless.
_LEAST_CENTRE, _MOST_CENTRE = 0.001, 0.999
# All pairs as one stream, and those of the soak for themselves.
_SOAK_WEIGHTS = np.log(np.array([0.75, 0.25]))
_LATENCY_LEVELS = len(ev.LATENCY_QUANTILES) + 1


def log_harm(plan: Plan, rail: Guardrail, tables: Tables) -> Floats:
    """Log e-value against "this guardrail's metric is not harmed"."""
    return np.asarray(_HARM[rail.kind](plan, rail, tables))


def log_safe(plan: Plan, gate: Gate, kind: Kind, tables: Tables) -> Floats | None:
    """Log e-value against "the margin is exceeded"; None if the gate asks nothing of this kind."""
    safe = _SAFE.get(kind)
    found = None if safe is None else safe(plan, gate, tables)
    return None if found is None else np.asarray(found)


# ------------------------------------------------------------------ events in either arm


def _errors_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    # By entity only the first failure is an event: later ones are not drawn anew.
    measure = Measure.FIRST_FAILURE if plan.unit == "entity" else Measure.ERROR
    return event_odds.log_e(_events(tables, measure), null_odds=1.0, mixture=_HARM_ODDS)


def _errors_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    safe, weights = [], []
    if gate.error_odds is not None:
        mixture = event_odds.safety_mixture(gate.error_odds)
        events = _events(tables, Measure.ERROR)
        safe.append(event_odds.log_e(events, null_odds=gate.error_odds, mixture=mixture))
        weights.append(_ODDS_WEIGHT)
    if gate.error_points is not None:
        question = score_betting.safety(gate.error_points, _ERROR_CENTRE)
        failures = ev.shaped(tables, Measure.ERROR, 2)
        safe.append(score_betting.log_e(failures, _FAILED, question))
        weights.append(_POINTS_WEIGHT)
    if not safe:
        return None
    # Either margin is enough: while both are exceeded, a mean of the two is an e-value.
    return mixing.mix(np.stack(safe, axis=-1), np.log(np.array(weights) / sum(weights)))


def _service_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    """The mean of two: worse than the limit *and* the champion, and worse than both in the soak.

    What fails in both arms alike has its cause elsewhere: not the model. The lesser of two
    e-values is below the one whose null is true. In the soak there is no other arm; what is
    allowed there was settled before it, by the limit or the champion's own rate.
    """
    errors = ev.shaped(tables, Measure.ERROR, 2)
    alone = errors.pop(1.0, None)
    counts = sum(errors.values(), start=np.zeros((2, 2), np.int64))
    failed, total = counts[..., 1], counts.sum(axis=-1)
    live = np.minimum(
        service_level.log_e_breach(failed[..., 1], total[..., 1], rail.tolerance),
        event_odds.log_e(
            {share: table[..., 1] for share, table in errors.items()},
            null_odds=1.0,
            mixture=_HARM_ODDS,
        ),
    )
    if alone is None:
        return multiplicity.average(np.stack([live, np.zeros_like(live)], axis=-1))
    before = failed[..., 0], total[..., 0]
    soak = _soaking(*before, alone[..., 1, 1], alone[..., 1, :].sum(axis=-1), rail.tolerance)
    return multiplicity.average(np.stack([live, soak], axis=-1))


@partial(np.vectorize, otypes=[float])
def _soaking(champion: int, of: int, failed: int, requests: int, limit: float) -> float:
    """The breach of the limit, or of what the champion failed before where that was more."""
    before = proportion(champion, of, _SURELY).high if of else 0.0
    allowed = min(max(limit, before), _SURELY)
    return float(service_level.log_e_breach(failed, requests, allowed))


def _latency_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    return ordinal_odds.log_e(
        ev.shaped(tables, Measure.LATENCY, _LATENCY_LEVELS), ev.LATENCY_QUANTILES
    )


def _latency_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    found = tails(plan, gate, tables)
    return np.minimum.reduce([log_e for _, _, log_e in found]) if found else None


def tails(plan: Plan, gate: Gate, tables: Tables) -> list[tuple[Measure, int, LogE]]:
    """What a gate asks of latency: the table and level of each quantile, and its log e-value.

    The least of them decides. Empty if the gate asks nothing of latency.
    """
    if gate.latency_ratio is None:
        return []
    # A small share sees the far tail too seldom to be held up for it.
    early = gate.latency_ratio == plan.latency.early_ratio
    measure = Measure.LATENCY_EARLY if early else Measure.LATENCY_LAST
    exceeded = ev.shaped(tables, measure, _LATENCY_LEVELS)
    return [
        (
            measure,
            level,
            event_odds.log_e(
                {share: counts[..., level:].sum(axis=-1) for share, counts in exceeded.items()},
                null_odds=1.0,
                mixture=_FASTER_ODDS,
            ),
        )
        for level in ((ev.ABOVE_P75,) if early else (ev.ABOVE_P95, ev.ABOVE_P99))
    ]


def _class_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    """The mean over classes and both directions: more frequent, or rarer, than tolerated."""
    # Classes go before the arms, to be one more leading axis.
    counts = {
        share: np.swapaxes(table, -1, -2)
        for share, table in ev.shaped(tables, Measure.CLASS, len(plan.classes)).items()
    }
    if not counts or not plan.classes:
        return np.zeros(())
    mirrored = {1.0 - share: table[..., ::-1] for share, table in counts.items()}
    bets = _beyond(rail.tolerance)
    found = [
        event_odds.log_e(arms, null_odds=rail.tolerance, mixture=bets)
        for arms in (counts, mirrored)
    ]
    return multiplicity.average(np.concatenate(found, axis=-1))


@lru_cache(maxsize=64)
def _beyond(odds: float) -> Mixture:
    return Mixture(_HARM_ODDS.odds * odds, _HARM_ODDS.log_weights)


def _ratio_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    return sample_ratio.log_e(_units(tables))


def _ratio_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    if gate.share_error is None:
        return None
    return sample_ratio.log_e_sound(_units(tables), gate.share_error)


# ------------------------------------------------------------------ bounded scores


def _distribution_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    return multiplicity.average(_cuts(plan, tables, +1, rail.tolerance))


def _distribution_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    if gate.score_shift is None:
        return None
    safe: Floats = _cuts(plan, tables, -1, gate.score_shift).min(axis=-1)
    return safe


def _cuts(plan: Plan, tables: Tables, sign: int, margin: float) -> Floats:
    """Shape (..., 2 cuts): how far the scores' distributions are apart, at each cut, either way."""
    cuts = len(plan.score_cuts)
    arms = {}
    for share, table in ev.shaped(tables, Measure.SCORE, ev.SCORE_BINS).items():
        # Cuts go before the arms, to be one more leading axis.
        below = np.swapaxes(np.cumsum(table, axis=-1), -1, -2)
        at_most = np.stack([below[..., -1:, :] - below, below], axis=-1)[..., :cuts, :, :]
        arms[share] = np.concatenate([at_most, at_most[..., ::-1]], axis=-3)
    return score_betting.log_e_each(arms, _FAILED, _questions(sign, margin, cuts))


@lru_cache(maxsize=64)
def _questions(sign: int, margin: float, cuts: int) -> tuple[score_betting.Question, ...]:
    centres = [(cut + 1) / ev.SCORE_BINS for cut in range(cuts)]
    centres += [1.0 - centre for centre in centres]
    return tuple(score_betting.Question(sign, margin, centre) for centre in centres)


def _quality_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    losses = ev.shaped(tables, Measure.LOSS, len(ev.LOSS_LEVELS))
    question = score_betting.harm(_centre(plan.quality), rail.tolerance)
    return score_betting.log_e(losses, ev.LOSS_LEVELS, question)


def _quality_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    if gate.quality_points is None:
        return None
    losses = ev.shaped(tables, Measure.LOSS, len(ev.LOSS_LEVELS))
    question = score_betting.safety(gate.quality_points, _centre(plan.quality))
    return score_betting.log_e(losses, ev.LOSS_LEVELS, question)


def _business_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    values = ev.shaped(tables, Measure.VALUE, len(ev.LOSS_LEVELS))
    baseline = plan.value.baseline if plan.value else 0.5
    return score_betting.log_e(values, ev.LOSS_LEVELS, score_betting.gain_harm(baseline))


def _business_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    if gate.value_loss is None or plan.value is None:
        return None
    values = ev.shaped(tables, Measure.VALUE, len(ev.LOSS_LEVELS))
    question = score_betting.gain_safety(gate.value_loss, plan.value.baseline)
    return score_betting.log_e(values, ev.LOSS_LEVELS, question)


# ------------------------------------------------------------------ pairs


def _pairs_harm(
    plan: Plan, tables: Tables, measure: Measure, levels: int, log_e: Callable[[Counts], LogE]
) -> LogE:
    """All pairs as one stream, with a quarter of the stake held back for the soak.

    What the challenger won in the shadow would else have to be lost first when it begins to err at
    full load. A mean of e-values is one; the part held back is 1 until the soak begins.
    """
    pairs = ev.shaped(tables, measure, levels)
    soak = pairs.get(ev.SOAK)
    whole = sum(pairs.values(), start=np.zeros((2, levels), np.int64))[..., 1, :]
    stream = np.asarray(log_e(whole))
    if not (plan.soak_seconds and plan.soak_mirror):
        return stream
    fresh = np.zeros_like(stream) if soak is None else np.asarray(log_e(soak[..., 1, :]))
    return mixing.mix(np.stack([stream, fresh], axis=-1), _SOAK_WEIGHTS)


def _shadow_errors_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    return _pairs_harm(plan, tables, Measure.PAIR_ERROR, 3, _discordant)


def _shadow_errors_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    if gate.error_points is None:
        return None
    pairs = _pairs(tables, Measure.PAIR_ERROR, 3)
    return paired_betting.log_e_safety(pairs, ev.FAILURE_DIFFERENCES, gate.error_points)


def _shadow_quality_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    levels = len(ev.LOSS_DIFFERENCES)
    if plan.quality.task == "classification" and not rail.tolerance:
        return _pairs_harm(plan, tables, Measure.PAIR_LOSS, levels, _discordant)
    losses = partial(
        paired_betting.log_e_harm, differences=ev.LOSS_DIFFERENCES, tolerance=rail.tolerance
    )
    return _pairs_harm(plan, tables, Measure.PAIR_LOSS, levels, losses)


def _shadow_quality_safe(plan: Plan, gate: Gate, tables: Tables) -> LogE | None:
    if gate.quality_points is None:
        return None
    pairs = _pairs(tables, Measure.PAIR_LOSS, len(ev.LOSS_DIFFERENCES))
    return paired_betting.log_e_safety(pairs, ev.LOSS_DIFFERENCES, gate.quality_points)


def _disagreement_harm(plan: Plan, rail: Guardrail, tables: Tables) -> LogE:
    """Beyond what the champion differs from itself, where it answers twice."""
    if plan.clone:
        excess = partial(
            paired_betting.log_e_harm,
            differences=ev.FLIP_DIFFERENCES,
            tolerance=rail.tolerance,
        )
        return _pairs_harm(plan, tables, Measure.PAIR_FLOOR, len(ev.FLIP_DIFFERENCES), excess)

    def breach(flips: Counts) -> LogE:
        return service_level.log_e_breach(flips[..., 1], flips.sum(axis=-1), rail.tolerance)

    return _pairs_harm(plan, tables, Measure.PAIR_FLIP, 2, breach)


def _discordant(pairs: Counts) -> LogE:
    return mcnemar.log_e(pairs[..., -1], pairs[..., 0])


# ------------------------------------------------------------------ parts


def _events(tables: Tables, measure: Measure) -> dict[float, Counts]:
    return {share: counts[..., 1] for share, counts in ev.shaped(tables, measure, 2).items()}


def _units(tables: Tables) -> dict[float, Counts]:
    return {
        share: counts.sum(axis=-1) for share, counts in ev.shaped(tables, Measure.ERROR, 2).items()
    }


def _pairs(tables: Tables, measure: Measure, levels: int) -> Counts:
    return ev.pooled(tables, measure, levels)[..., 1, :]


def _centre(scale: QualityScale) -> float:
    return min(max(scale.baseline, _LEAST_CENTRE), _MOST_CENTRE)


_Harm: TypeAlias = Callable[[Plan, Guardrail, Tables], LogE]
_Safe: TypeAlias = Callable[[Plan, Gate, Tables], LogE | None]
_HARM: Mapping[Kind, _Harm] = {
    "errors": _errors_harm,
    "service_level": _service_harm,
    "latency": _latency_harm,
    "distribution": _distribution_harm,
    "class_mix": _class_harm,
    "quality": _quality_harm,
    "business": _business_harm,
    "sample_ratio": _ratio_harm,
    "shadow_errors": _shadow_errors_harm,
    "shadow_quality": _shadow_quality_harm,
    "disagreement": _disagreement_harm,
}
_SAFE: Mapping[Kind, _Safe] = {
    "errors": _errors_safe,
    "latency": _latency_safe,
    "distribution": _distribution_safe,
    "quality": _quality_safe,
    "business": _business_safe,
    "sample_ratio": _ratio_safe,
    "shadow_errors": _shadow_errors_safe,
    "shadow_quality": _shadow_quality_safe,
}
