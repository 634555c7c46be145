"""Mirrored requests of two versions, as a gateway writes them."""

from __future__ import annotations

import numpy as np

from serinus.ledger.files.writer import Writer
from serinus.wire import Arm, Assignment, Event, Failure, Label, Output, Prediction, Shadow


def told(score: float) -> Output:
    """A classifier's answer of two classes."""
    return Output(int(score > 0.5), (1.0 - score, score))


def write(
    writer: Writer,
    count: int,
    *,
    deployment: str = "d1",
    step: int = 0,
    seed: int = 1,
    flips_above: float = 100.0,
    noise: float = 0.0,
    clone: float = 0.1,
    labelled: float = 1.0,
    failing: float = 0.01,
    versions: tuple[str, str] = ("1.0.0", "1.1.0"),
    batch: int = 1_000,
) -> list[bytes]:
    """Requests that the first version answered and the second scored too.

    The second answers otherwise where ``amount`` is above ``flips_above``, and is right there.

    Returns:
        The predictions' ids.
    """
    rng = np.random.default_rng(seed)
    ids: list[bytes] = []
    first, second = versions
    routed = Assignment("fraud", Arm.CHAMPION, 0.0, 7, deployment, step)
    mirrored = Assignment("fraud", Arm.SHADOW, 0.0, 7, deployment, step)
    cloned = Assignment("fraud", Arm.CLONE, 0.0, 7, deployment, step)
    for start in range(0, count, batch):
        many = min(batch, count - start)
        amount = rng.uniform(0, 120, many).round(2).tolist()
        age = rng.integers(18, 90, many).tolist()
        score = rng.uniform(0.0, 0.45, many)
        failed = rng.random((2, many)) < failing
        answers = [told(float(one)) for one in score]
        events: list[Event] = [
            Failure(start + n, routed, first, "boom", 900)
            if failed[0, n]
            else Prediction(
                start + n, routed, first, (amount[n], float(age[n])), answers[n], 900 + n % 100
            )
            for n in range(many)
        ]
        named = writer.append(events)
        ids += named
        noisy = rng.random((2, many)) < noise
        asked, wants = rng.random(many) < clone, rng.random(many) < labelled
        later: list[Event] = []
        for n, identity in enumerate(named):
            champion = None if failed[0, n] else answers[n]
            flips = (amount[n] > flips_above) ^ bool(noisy[0, n])
            mine = told(1.0 - float(score[n])) if flips else answers[n]
            output = None if failed[1, n] else mine
            at = 10 + start + n
            later.append(
                Shadow(at, identity, mirrored, second, champion, output, 700, "" if output else "x")
            )
            if asked[n]:
                again = told(1.0 - float(score[n])) if noisy[1, n] else answers[n]
                later.append(Shadow(at, identity, cloned, first, champion, again, 800))
            if wants[n] and champion is not None:
                truth = int(amount[n] > flips_above)
                later.append(Label(at + 5, identity, truth, start + n, routed, first, champion))
        writer.append(later)
    return ids
