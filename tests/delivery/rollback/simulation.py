"""Simulated incidents as signs of life: a daily swing, noise, and a cause that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special

from serinus.delivery.reconcile import WorkerView
from serinus.delivery.rollback import bands, counts, verify
from serinus.delivery.rollback.counts import Counts
from serinus.delivery.rollback.types import (
    Cause,
    Moment,
    Rollback,
    RollbackPlan,
    Seen,
    State,
)
from serinus.delivery.rollback.verify import Case, Judgement
from serinus.registry.model_types import RollbackCriteria

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRITERIA = RollbackCriteria(verify_seconds=600.0)
_LEVELS = np.arange(80, 260)


@dataclass(frozen=True)
class Health:
    """How a version is: failing and positive shares, latency, wrong answers."""

    errors: float = 0.004
    positive: float = 0.3
    latency_ms: float = 3.0
    wrong: float = 0.12


SOUND = Health()
HARMS: dict[Cause, Health] = {
    "errors": replace(SOUND, errors=0.06),
    "latency": replace(SOUND, latency_ms=7.5),
    "quality": replace(SOUND, wrong=0.3, positive=0.45),
    "answers": replace(SOUND, positive=0.5),
}


def rollback(cause: Cause = "errors", **changes: object) -> Rollback:
    """One of ``fraud`` from 1.1.0 to 1.0.0, routed at noon and taken up at once."""
    plan = RollbackPlan("1.0.0", (), (), (), CRITERIA.verify_seconds)
    made = Rollback(
        id="r1",
        model="fraud",
        taken_back="1.1.0",
        to="1.0.0",
        deployment="d1",
        cause=cause,
        actor="controller",
        reason="harm",
        state=State.VERIFYING,
        plan=plan,
        criteria=CRITERIA,
        sound_until=NOON - timedelta(minutes=5),
        steps=(Moment(State.ROUTED, NOON, "controller", "harm"),),
        findings=(),
        seen=Seen(target=1_000),
        revision=7,
        started_at=NOON,
        routed_at=NOON,
        reported_at=NOON,
    )
    return msgspec.structs.replace(made, **changes)


def worker(revision: int = 7) -> WorkerView:
    return WorkerView("w1", revision, ("fraud@1.0.0",), {})


class Traffic:
    """A model's traffic: so many requests a second, with a daily swing and what differs by chance.

    Args:
        seed: decides everything.
        labels: the share of answers that get a label.
    """

    def __init__(self, seed: int, *, labels: float = 0.2) -> None:
        self.random = np.random.default_rng(seed)
        self.rate = float(self.random.uniform(50, 500))
        self._phase = float(self.random.uniform(0, 2 * np.pi))
        self._labels = labels

    def stretches(self, health: Health, start: float, number: int, share: float) -> list[Counts]:
        """Signs of life of ten seconds each.

        Args:
            health: of the version.
            start: seconds from noon.
            number: how many.
            share: of the requests that are the version's.
        """
        random = self.random
        at = start + 10.0 * np.arange(number)
        swing = np.sin(2 * np.pi * at / 86_400 + self._phase)
        noise = random.normal(0, 0.05, (4, number))
        requests = random.poisson(10 * self.rate * share * (1 + 0.5 * swing) * (1 + noise[0]))
        failed = random.binomial(requests, health.errors * (1 + 0.3 * swing) * np.exp(noise[1]))
        positive = np.clip(health.positive * (1 + 0.05 * swing) * np.exp(0.5 * noise[2]), 0, 1)
        answered = requests - failed
        ones = random.binomial(answered, positive)
        labelled = random.binomial(answered, self._labels)
        wrong = random.binomial(labelled, health.wrong * (1 + 0.05 * swing))
        latency = random.multinomial(
            answered, _latency(health.latency_ms * np.exp(0.1 * swing + noise[3]))
        )
        rows = zip(requests, failed, ones, labelled, wrong, latency, strict=True)
        return [_counts(*map(int, row[:-1]), row[-1]) for row in rows]


def _latency(median_ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of the levels under a lognormal law with a heavier tail, by row."""
    edges = (_LEVELS[None, :] / counts.PER_OCTAVE - np.log2(1000 * median_ms)[:, None]) * np.log(2)
    law = 0.93 * special.ndtr(edges / 0.35) + 0.07 * special.ndtr((edges - 0.9) / 0.5)
    law[:, 0], law[:, -1] = 0.0, 1.0
    shares = np.diff(law, axis=1)
    return shares / shares.sum(axis=1, keepdims=True)


def _counts(
    requests: int, failed: int, ones: int, labelled: int, wrong: int, latency: NDArray[np.int64]
) -> Counts:
    places = np.flatnonzero(latency)
    answered = requests - failed
    return Counts(
        requests=requests,
        failures=failed,
        answered=answered,
        latency=dict(zip(_LEVELS[places].tolist(), latency[places].tolist(), strict=True)),
        classes={"0": answered - ones, "1": ones},
        labelled=labelled,
        loss=float(wrong),
        loss_squares=float(wrong),
    )


@dataclass(frozen=True)
class Incident:
    """A rollback whose cause is known: what was there before it, and what comes after it."""

    cause: Cause
    before: list[Counts]
    target: list[Counts]
    other: list[Counts]
    after: list[Counts]

    def looks(self) -> Iterator[Judgement]:
        """What the verification says at each look, until it has decided."""
        made = rollback(self.cause)
        known = bands.bands(self.before, made.criteria)
        so_far = Counts()
        for number, stretch in enumerate(self.after, 1):
            so_far = counts.total([so_far, stretch])
            case = Case(
                rollback=made,
                bands=known,
                workers=[worker()],
                now=NOON + timedelta(seconds=10 * number),
                after=so_far,
                target=self.target,
                other=self.other,
            )
            found = verify.judge(case)
            yield found
            if found.state is not None:
                return


def incident(
    seed: int, harm: Cause, cause: Literal["model", "upstream"], *, side_by_side: bool = True
) -> Incident:
    """A challenger that is bad, or a feature feed that breaks for both.

    Args:
        seed: decides everything.
        harm: what gets worse.
        cause: whether the challenger alone does.
        side_by_side: whether the champion answered beside it; not after a switch of all traffic.
    """
    traffic = Traffic(seed)
    bad = HARMS[harm]
    share = float(traffic.random.choice([0.05, 0.25, 0.5])) if side_by_side else 1.0
    length = int(traffic.random.integers(1, 12))
    before = traffic.stretches(SOUND, -300 - 600, 60, 1.0)
    sound = traffic.stretches(SOUND, -300, 30 - length, 1.0 - share) if side_by_side else []
    beside = SOUND if cause == "model" else bad
    target = traffic.stretches(beside, -10.0 * length, length, 1.0 - share) if side_by_side else []
    other = traffic.stretches(bad, -10.0 * length, length, share)
    after = traffic.stretches(beside, 0.0, 62, 1.0)
    return Incident(harm, before, sound + target, other, after)
