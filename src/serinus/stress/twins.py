"""``serinus stress twins``: a version that is registered again is not taken back for its latency.

A champion and its twin, which differ in nothing, share the traffic of a real gateway at half of
what it can answer, as the default canary plan does it: 5, 25, then 50 %. What the gateway recorded
is judged as the control plane judges it, at the plan's own bound. The limit is on deployments; all
deployments of one kind are also judged as a single long one, which finds a smaller bias.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import uvloop

from serinus import clock
from serinus.delivery.routing import Publisher
from serinus.delivery.types import Plan
from serinus.delivery.verdicts import tally, watch
from serinus.delivery.verdicts.tally import Requests
from serinus.errors import InvalidInput, Unavailable
from serinus.ledger.opening import open_reader
from serinus.ledger.types import Offsets
from serinus.proof import judging
from serinus.proof.types import Bar
from serinus.stress import gateways, requests, weights
from serinus.stress.answers import Parser
from serinus.stress.load import OpenLoad, Reply
from serinus.stress.types import Finding, at_least, at_most
from serinus.stress.weights import WEIGHTS, Weight
from serinus.wire import Arm, Event, Failure, Prediction, Route, RoutingTable, Target

STATEMENT = (
    "A twin of the champion is not taken back for its latency, whatever its weight and however "
    "many rows a request has."
)
TAKEN_BACK = "deployments taken back for latency"
UNANSWERED = "requests without an answer"
FEWEST = "fewest rows of a twin in one deployment"
MOST_TAKEN_BACK = 0.05
ROWS = (1, 8)
PART_OF_CAPACITY = 0.5
QUANTILES = (0.5, 0.9, 0.99)

_CONNECTIONS = 16
_BODIES = 64
_READ = 50_000


@dataclass(frozen=True)
class Kind:
    """One kind of traffic: a model of some weight, and how many rows a request has."""

    weight: Weight
    rows: int

    def __str__(self) -> str:
        return f"{self.weight}, {self.rows} row{'s' if self.rows > 1 else ''}"


@dataclass
class Course:
    """What came of the deployments of one kind.

    Attributes:
        kind: of the traffic.
        rate: requests a second.
        taken_back: by deployment, after how many rows; infinity is never.
        as_one: the same of all of them as one deployment.
        recorded: the rows of all of them, in their order.
        unanswered: why requests got no answer.
    """

    kind: Kind
    rate: float
    taken_back: list[float] = field(default_factory=list)
    as_one: float = math.inf
    recorded: list[Requests] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


def run(
    *,
    deployments: int = 8,
    seconds: float = 8.0,
    only: Sequence[Weight] = WEIGHTS,
    rows: Sequence[int] = ROWS,
    seed: int = 0,
) -> Finding:
    """Deploy twins again and again, and judge them.

    Args:
        deployments: of each weight with each number of rows.
        seconds: that each of them lasts, a third at each share.
        only: the weights.
        rows: that a request may have.
        seed: of when requests come.
    """
    started = clock.monotonic()
    plan = judging.only(judging.default_plan(), "latency")
    with tempfile.TemporaryDirectory(prefix="serinus-stress-") as folder:
        home = Path(folder)
        scene = _Scene(home, {weight: weights.save(home, weight) for weight in only}, seed)
        scene.publish()
        with gateways.running(home, workers=1, settings={}) as gateway:
            courses = [
                scene.course(gateway.port, plan, Kind(weight, count), deployments, seconds)
                for weight in only
                for count in rows
            ]
    return Finding(
        name="twins",
        statement=STATEMENT,
        bars=bars(courses),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes=notes(courses, plan),
        faults=tuple(why for course in courses for why in course.unanswered),
    )


def chosen(names: Sequence[str] | None) -> tuple[Weight, ...]:
    """The weights of these names; all, if none is named.

    Raises:
        InvalidInput: one of them is no weight.
    """
    unknown = [name for name in names or () if name not in WEIGHTS]
    if unknown:
        raise InvalidInput(
            f"there is no weight {unknown[0]!r}",
            where="--only",
            remedy=f"There is: {', '.join(WEIGHTS)}.",
        )
    return tuple(weight for weight in WEIGHTS if not names or weight in names)


class _Scene:
    """The routing table, the traffic, and what the gateway recorded of it."""

    def __init__(self, home: Path, twins: dict[Weight, tuple[Target, Target]], seed: int) -> None:
        self._publisher = Publisher(home / "routing.json")
        self._reader = open_reader(home / "ledger")
        self._offsets: Offsets = {}
        self._twins = twins
        self._revision = 0
        self._random = random.Random(seed)

    def publish(self, weight: Weight | None = None, *, name: str = "", share: float = 0.0) -> None:
        """Every champion alone but for the one of a weight, which shares with its twin."""
        self._revision += 1
        routes: dict[str, Route] = {
            each: Route(each, first) for each, (first, _) in self._twins.items()
        }
        if weight is not None:
            routes[weight] = Route(
                weight, *self._twins[weight], share=share, salt=name, deployment=name
            )
        self._publisher.publish(RoutingTable(self._revision, routes))

    def course(self, port: int, plan: Plan, kind: Kind, deployments: int, seconds: float) -> Course:
        """Some deployments of one kind, one after the other."""
        asked, shares = _requests(kind), _shares(plan)
        found = Course(
            kind, PART_OF_CAPACITY * asyncio.run(_capacity(port, asked, min(seconds, 3.0)))
        )
        for number in range(deployments):
            name = f"{kind}, {number}"
            for share in shares:
                self.publish(kind.weight, name=name, share=share)
                gateways.await_revision(port, self._revision)
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    lasts = seconds / len(shares)
                    found.unanswered += runner.run(self._load(port, asked, found.rate, lasts))
            rows = recorded(self._events(name))
            found.recorded.append(rows)
            found.taken_back.append(taken_back(plan, rows))
        found.as_one = taken_back(plan, together(found.recorded))
        return found

    async def _load(
        self, port: int, asked: Sequence[bytes], rate: float, seconds: float
    ) -> list[str]:
        faults: list[str] = []

        def take(reply: Reply) -> None:
            if reply.answer.status != 200:
                faults.append(f"{reply.answer.status} {reply.answer.body[:200]!r}")

        load = OpenLoad(
            port,
            lambda number: asked[number % len(asked)],
            take,
            rate=rate,
            connections=_CONNECTIONS,
            chance=self._random,
        )
        async with load:
            await asyncio.sleep(seconds)
        return faults + load.dropped

    def _events(self, deployment: str) -> Iterator[Prediction | Failure]:
        while True:
            batch = self._reader.read(self._offsets, _READ)
            self._offsets = batch.offsets
            for record in batch.records:
                if _is_of(record.event, deployment):
                    yield record.event
            if not batch.records:
                return


def _is_of(event: Event, deployment: str) -> TypeGuard[Prediction | Failure]:
    return isinstance(event, Prediction | Failure) and event.assignment.deployment == deployment


def recorded(events: Iterator[Prediction | Failure]) -> Requests:
    """The rows of a deployment as the control plane sees them."""
    found = list(events)
    nothing = np.full(len(found), np.nan)
    return Requests(
        share=np.array([event.assignment.share for event in found], np.float64),
        challenger=np.array([event.assignment.arm is Arm.CHALLENGER for event in found], np.bool_),
        step=np.array([event.assignment.step for event in found], np.int64),
        failed=np.array(
            [isinstance(event, Failure) or event.fallback != "" for event in found], np.bool_
        ),
        latency=np.array([event.latency_us for event in found], np.float64),
        score=nothing,
        category=np.full(len(found), -1, np.int64),
    )


def together(parts: Sequence[Requests]) -> Requests:
    """The rows of several deployments as if they were one."""
    names = ("share", "challenger", "step", "failed", "latency", "score", "category")
    return Requests(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def taken_back(plan: Plan, rows: Requests) -> float:
    """After how many rows the plan takes the challenger back for latency; infinity is never."""
    ends = judging.looks(len(rows))
    if not len(ends):
        return math.inf
    levels, _ = tally.levels(plan, rows, watch.UNSEEN)
    return judging.harm_time(plan, "latency", tally.running(levels, rows, ends), ends)


def bars(courses: Sequence[Course]) -> tuple[Bar, ...]:
    """What is asked of all courses together."""
    every = [after for course in courses for after in course.taken_back]
    twins = [int(rows.challenger.sum()) for course in courses for rows in course.recorded]
    share = sum(math.isfinite(after) for after in every) / len(every)
    as_one = sum(math.isfinite(course.as_one) for course in courses)
    return (
        at_most(TAKEN_BACK, 100 * share, 100 * MOST_TAKEN_BACK, "%"),
        at_most(UNANSWERED, sum(len(course.unanswered) for course in courses), 0),
        at_least(FEWEST, min(twins), 100),
        at_most("deployments", len(every), None),
        at_most("kinds taken back as one long deployment", as_one, None, f"of {len(courses)}"),
        at_most("rows", sum(len(rows) for course in courses for rows in course.recorded), None),
    )


def notes(courses: Sequence[Course], plan: Plan) -> dict[str, dict[str, float]]:
    """By kind and share, the quantiles of both arms' latencies side by side, in milliseconds."""
    found: dict[str, dict[str, float]] = {}
    for course in courses:
        rows = together(course.recorded)
        found[str(course.kind)] = {
            "requests a second": round(course.rate),
            "taken back": sum(math.isfinite(after) for after in course.taken_back),
            "of": len(course.taken_back),
        }
        if math.isfinite(course.as_one):
            found[str(course.kind)]["as one, after rows"] = course.as_one
        for share in _shares(plan):
            label = f"{course.kind}, {100 * share:g} %, ms"
            found[label] = _side_by_side(rows, rows.share == share)
    return found


def _shares(plan: Plan) -> list[float]:
    return [step.share for step in plan.steps if step.share > 0.0]


def _side_by_side(rows: Requests, chosen: npt.NDArray[np.bool_]) -> dict[str, float]:
    told: dict[str, float] = {}
    for quantile in QUANTILES:
        for name, own in (("champion", ~rows.challenger), ("twin", rows.challenger)):
            some = rows.latency[chosen & own]
            value = float(np.quantile(some, quantile)) / 1e3 if len(some) else math.nan
            told[f"{name} p{100 * quantile:g}"] = round(value, 3)
    return told


def _requests(kind: Kind) -> list[bytes]:
    """Requests of one kind, no two the same."""
    rows = [{"features": row} for row in weights.asked(_BODIES * kind.rows)]
    path = f"/models/{kind.weight}/predict"
    if kind.rows == 1:
        return [requests.post(path, row) for row in rows]
    starts = range(0, len(rows), kind.rows)
    return [
        requests.post(f"{path}/batch", {"requests": rows[at : at + kind.rows]}) for at in starts
    ]


async def _capacity(port: int, asked: list[bytes], seconds: float) -> float:
    """How many requests a second are answered to clients that ask again at once."""
    deadline = clock.monotonic() + seconds
    answered = await asyncio.gather(
        *(_ask_on(port, asked[place:] + asked[:place], deadline) for place in range(_CONNECTIONS))
    )
    return sum(answered) / seconds


async def _ask_on(port: int, asked: Sequence[bytes], deadline: float) -> int:
    reader, writer = await asyncio.open_connection(gateways.HOST, port)
    parser, answered = Parser(), 0
    try:
        while clock.monotonic() < deadline:
            writer.write(asked[answered % len(asked)])
            while not (found := parser.feed(await reader.read(1 << 16))):
                pass
            if found[0].status != 200:
                raise Unavailable(f"the gateway answers {found[0].status} {found[0].body[:200]!r}")
            answered += 1
    finally:
        writer.close()
    return answered
