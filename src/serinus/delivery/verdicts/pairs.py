"""Requests that both versions answered: whose answer is whose, and what the two differ in. Pure.

Whoever is in production answers, the other scores the same request unseen. While the challenger is
compared, it is the other; in the soak it is in production and the former champion is the other, so
the roles of a pair are turned round and one stream of pairs goes on.

**The noise floor.** A champion that draws at random, or whose sums depend on how requests are
batched, differs from itself. So it answers a part of the mirrored requests once more, and of a
request with all three answers counts ``D = flip(challenger) - flip(clone)``. If the two versions
are one and the same, the second answers of both are exchangeable: the mean of D is 0 however noisy
they are, however noise comes and goes, and whichever requests were cloned. Requests without a clone
say nothing of that: had they counted while no clone differed yet, the first of a champion's own
rare flips would have been the challenger's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from serinus.delivery.types import Deployment, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import SOAK, Measure, Sight
from serinus.wire import Answer, Arm, Output, Shadow

BEFORE = 0.0
"""The share under which pairs are counted while the challenger is compared."""
# Turns a 64-bit hash into another one, its sign apart.
_IN_SOAK = 0x5BD1E9955BD1E995


class Pair(msgspec.Struct, frozen=True, gc=False):
    """What both versions said to one request: None where one failed.

    ``share`` is :data:`BEFORE` while the challenger is compared, and ``SOAK`` in the soak.
    """

    champion: Output | None
    challenger: Output | None
    share: float

    def turned(self) -> Pair:
        """The same answers with their roles turned round."""
        return Pair(self.challenger, self.champion, SOAK - self.share)

    @property
    def failures(self) -> int:
        """The challenger's failure minus the champion's: -1, 0 or 1."""
        return int(self.challenger is None) - int(self.champion is None)


def unit_of(plan: Plan, event: Shadow) -> int:
    """The name under which the entity of a pair is remembered; 0 if it is its own.

    Live requests, those mirrored while the challenger is compared, and those of the soak are three
    draws of an entity: one of each may count.
    """
    unit = event.assignment.unit
    if not unit:
        return 0
    return ~unit ^ _IN_SOAK if event.assignment.step >= len(plan.steps) else ~unit


def pair_of(deployment: Deployment, event: Shadow) -> Pair:
    """The pair that a shadow's answer makes.

    Past the last step the former champion is the shadow of the version that holds production.
    """
    pair = Pair(event.champion, event.output, BEFORE)
    soaking = event.assignment.step >= len(deployment.plan.steps)
    return pair.turned() if soaking and event.version == deployment.champion else pair


def differ(plan: Plan, one: Answer, other: Answer) -> bool:
    """Whether two answers are different: other classes, or further apart than the typical error."""
    if plan.quality.task == "classification":
        return not ev.same(one, other)
    return not (ev.same(one, other) or ev.distance(one, other) <= plan.same_within)


def flip_of(plan: Plan, event: Shadow) -> bool | None:
    """Whether a second answer is another than the first; None unless both were given.

    It is the same whichever of the two is whose.
    """
    if event.champion is None or event.output is None:
        return None
    return differ(plan, event.champion.value, event.output.value)


class Flip(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Whether one of the second answers of a request differs from the first, and when it came."""

    at: int
    share: float
    differs: bool


@dataclass
class Halves:
    """The two halves of cloned requests, by prediction: those that do not have the other yet."""

    challenger: dict[bytes, Flip] = field(default_factory=dict)
    clone: dict[bytes, Flip] = field(default_factory=dict)

    def join(self) -> list[Sight]:
        """Take out what has both halves by now, and count it."""
        both = self.challenger.keys() & self.clone.keys()
        return [floored(self.challenger.pop(key), self.clone.pop(key)) for key in both]


def clones(plan: Plan, events: Sequence[Shadow]) -> dict[bytes, Flip]:
    """By prediction, whether the champion's second answer differs from its first."""
    found: dict[bytes, Flip] = {}
    for event in events:
        differs = flip_of(plan, event)
        if differs is not None:
            found.setdefault(event.prediction, Flip(event.at, BEFORE, differs))
    return found


def floored(challenger: Flip, clone: Flip) -> Sight:
    """The observation of a request that was answered three times."""
    level = 2 * challenger.differs + clone.differs
    return Sight(Measure.PAIR_FLOOR, challenger.share, Arm.SHADOW, level)
