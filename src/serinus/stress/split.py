"""``serinus stress split``: who gets which version, key by key, whatever happens to the gateway.

The shares of so many keys lie around the configured ones as the luck of a salt has it: of 10^6
keys and a share of 10 % with a standard deviation of 0.03 points, so that the limit of 0.1 points
is 3.3 of these. With fewer keys the limit is as many of their standard deviations.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import uvloop

from serinus import clock
from serinus.delivery.routing import Publisher
from serinus.errors import Unavailable
from serinus.ledger import ids
from serinus.proof.types import Bar
from serinus.serving.asking.router import Router
from serinus.stress import gateways, requests, versions
from serinus.stress.answers import Answer, Parser
from serinus.stress.types import Finding, at_least, at_most
from serinus.wire import Arm, Route, RoutingTable, Target, Variant

STATEMENT = (
    "Each key keeps its version over all workers and restarts, shares are the configured ones, a "
    "share that rises moves no key out of a challenger, and one that is dropped moves only its own."
)
FARTHEST = "farthest share from the configured one"
REASSIGNED = "keys that another worker or a restart gave another version"
MOVED_OUT = "keys that left a challenger while shares rose"
MOVED_BESIDE = "keys of others that moved when a challenger was dropped"
CROSSED = "keys that several workers answered"
REFUSED = "rows without an answer"
POINTS = 0.1
ENOUGH_KEYS = 1_000_000

FIRST, RISEN, DROPPED = (0.05, 0.02), (0.10, 0.05), (0.10, 0.0)
_ROWS = 500
_CONNECTIONS = 4
_FURTHER_SALTS = 3
_RETRY_SECONDS = 0.02
_PATIENCE_SECONDS = 60.0
_PATH = f"/models/{versions.MODEL}/predict/batch"

Places: TypeAlias = npt.NDArray[np.int8]
"""By key the place of the challenger that has it, -1 for the champion."""


class Told(msgspec.Struct):
    """What is looked at of a row's answer."""

    prediction_id: str = ""
    version: str = ""
    revision: int = 0


class Batch(msgspec.Struct):
    """The answer to a batch."""

    predictions: list[Told]


_BATCH = msgspec.json.Decoder(Batch)


def key(number: int) -> str:
    """The number-th key, as users have them: numbers, names, addresses, and random ones."""
    match number % 4:
        case 0:
            return str(number)
        case 1:
            return f"user-{number:07d}"
        case 2:
            return f"jo.{number}@mail.example"
        case _:
            return blake2b(b"%d" % number, digest_size=16).hexdigest()


def route(targets: Sequence[Target], shares: Sequence[float], salt: str) -> Route:
    """A champion and two challengers, each at its place for good."""
    return Route(
        versions.MODEL,
        targets[0],
        targets[1],
        share=shares[0],
        unit="entity",
        salt=salt,
        deployment="split",
        others=(Variant(targets[2], RISEN[0], shares[1]),),
    )


@dataclass
class Pass:
    """What one pass over all keys saw: by key its place, and the number of the worker."""

    places: Places
    workers: npt.NDArray[np.int16]


@dataclass
class Asker:
    """Asks for all keys, many in one request, over connections that all workers share.

    Attributes:
        keys: how many there are.
        known: the workers that have answered, by name.
    """

    keys: int
    workers: int
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    known: dict[str, int] = field(default_factory=dict)

    async def ask(self, port: int, revision: int, turn: int) -> Pass:
        """Every key once; in another turn, over another connection.

        Args:
            port: of the gateway.
            revision: that the answers must name: others are asked for again.
            turn: of this pass.

        Raises:
            Unavailable: a revision is not in force everywhere after a long time.
        """
        found = Pass(np.full(self.keys, -2, np.int8), np.full(self.keys, -1, np.int16))
        connections = _CONNECTIONS * self.workers
        batches = range(0, self.keys, _ROWS)
        await asyncio.gather(
            *(
                self._through(
                    port, revision, batches[(place + turn) % connections :: connections], found
                )
                for place in range(connections)
            )
        )
        return found

    async def _through(self, port: int, revision: int, starts: Sequence[int], found: Pass) -> None:
        reader, writer = await asyncio.open_connection(gateways.HOST, port)
        parser = Parser()
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        try:
            for start in starts:
                request = _request(start, min(start + _ROWS, self.keys))
                while True:
                    writer.write(request)
                    answer = await _next(reader, parser)
                    if self._take(answer, start, revision, found):
                        break
                    if clock.monotonic() > deadline:
                        raise Unavailable(f"revision {revision} is not in force everywhere")
                    await asyncio.sleep(_RETRY_SECONDS)
                deadline = clock.monotonic() + _PATIENCE_SECONDS
        finally:
            writer.close()

    def _take(self, answer: Answer, start: int, revision: int, found: Pass) -> bool:
        """Note who answered; False if that was under an older revision."""
        if answer.status != 200:
            self.refused += min(_ROWS, self.keys - start)
            self.faults.append(f"keys from {start}: {answer.status} {answer.body[:200]!r}")
            return True
        rows = _BATCH.decode(answer.body).predictions
        if any(0 < row.revision < revision for row in rows):
            return False
        for place, row in enumerate(rows, start):
            if not row.version:
                self.refused += 1
                continue
            found.places[place] = versions.number_of(row.version) - 1
            worker = ids.unpack(ids.decode(row.prediction_id)).writer
            found.workers[place] = self.known.setdefault(worker, len(self.known))
        return True


def run(*, keys: int = ENOUGH_KEYS, workers: int = 4, restarts: int = 3, seed: int = 0) -> Finding:
    """Ask a gateway for every key again and again, and hold the answers against each other.

    Args:
        keys: how many.
        workers: of the gateway.
        restarts: of the whole gateway, between two passes over all keys.
        seed: of the salts.
    """
    started = clock.monotonic()
    salt = f"split-{seed}"
    asker = Asker(keys, workers)
    with tempfile.TemporaryDirectory(prefix="serinus-stress-") as folder:
        home = Path(folder)
        targets = [versions.save(home, number) for number in range(3)]
        publisher = Publisher(home / "routing.json")
        drive = _Drive(home, publisher, targets, salt, asker)
        passes = drive.passes(restarts)
    offs = [_off(passes[0].places, FIRST), _off(passes[-2].places, RISEN)]
    offs += [_off(_drawn(keys, f"{salt}-{n}"), RISEN) for n in range(_FURTHER_SALTS)]
    return Finding(
        name="split",
        statement=STATEMENT,
        bars=_bars(asker, passes, offs),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes=_notes(passes, offs),
        faults=tuple(asker.faults),
    )


@dataclass
class _Drive:
    home: Path
    publisher: Publisher
    targets: Sequence[Target]
    salt: str
    asker: Asker

    def passes(self, restarts: int) -> list[Pass]:
        """One before each restart and one behind the last, one at higher shares, one at fewer."""
        found: list[Pass] = []
        self._publish(1, FIRST)
        for turn in range(restarts + 1):
            # What was told of earlier keys is of no interest, and large.
            shutil.rmtree(self.home / "ledger", ignore_errors=True)
            with gateways.running(self.home, workers=self.asker.workers, settings={}) as gateway:
                found.append(self._pass(gateway.port, 1, turn))
                if turn == restarts:
                    for revision, shares in ((2, RISEN), (3, DROPPED)):
                        self._publish(revision, shares)
                        found.append(self._pass(gateway.port, revision, turn + revision))
        return found

    def _publish(self, revision: int, shares: Sequence[float]) -> None:
        made = route(self.targets, shares, self.salt)
        self.publisher.publish(RoutingTable(revision, {versions.MODEL: made}))

    def _pass(self, port: int, revision: int, turn: int) -> Pass:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self.asker.ask(port, revision, turn))


def _bars(asker: Asker, passes: Sequence[Pass], offs: Sequence[Sequence[float]]) -> tuple[Bar, ...]:
    *same, risen, dropped = (one.places for one in passes)
    reassigned = sum((one != same[0]).astype(np.int64) for one in same[1:])
    moved = (same[-1] >= 0) & (risen != same[-1])
    beside = (risen != 1) & (dropped != risen) | (risen == 1) & (dropped >= 0)
    workers = np.stack([one.workers for one in passes])
    crossed = int(np.count_nonzero((workers != workers[0]).any(axis=0)))
    limit = POINTS * max(1.0, ENOUGH_KEYS / asker.keys) ** 0.5
    return (
        at_most(FARTHEST, max(abs(off) for some in offs for off in some), limit, "points"),
        at_most(REASSIGNED, int(np.count_nonzero(reassigned)), 0),
        at_most(MOVED_OUT, int(np.count_nonzero(moved)), 0),
        at_most(MOVED_BESIDE, int(np.count_nonzero(beside)), 0),
        at_most(REFUSED, asker.refused, 0),
        at_least(CROSSED, crossed, asker.keys / 2 if asker.workers > 1 else 0),
        at_most("keys", asker.keys, None),
        at_most("rows asked for", asker.keys * len(passes), None),
        at_most("workers that answered", len(asker.known), None),
    )


def _off(places: Places, shares: Sequence[float]) -> list[float]:
    """By challenger, how far its share of the keys is from the configured one, in points."""
    return [100.0 * (float(np.mean(places == place)) - share) for place, share in enumerate(shares)]


def _drawn(keys: int, salt: str) -> Places:
    """The places of all keys under a salt, as the router of any worker draws them."""
    targets = [Target(f"1.{number}.0", "") for number in range(3)]
    assign = Router(route(targets, RISEN, salt), 1, lambda: b"").assign

    def place(number: int) -> int:
        drawn = assign(key(number))
        return -1 if drawn.arm is Arm.CHAMPION else drawn.variant

    return np.fromiter(map(place, range(keys)), np.int8, keys)


def _notes(passes: Sequence[Pass], offs: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    notes = {
        f"share of challenger {place + 1}, percent": {
            "first": 100.0 * float(np.mean(passes[0].places == place)),
            "risen": 100.0 * float(np.mean(passes[-2].places == place)),
            "dropped": 100.0 * float(np.mean(passes[-1].places == place)),
        }
        for place in range(2)
    }
    notes["points off, by salt"] = {
        f"salt {number}": max(some, key=abs) for number, some in enumerate(offs[1:])
    }
    return notes


def _request(start: int, end: int) -> bytes:
    features = dict.fromkeys(versions.NAMES, 0.0)
    rows = [{"features": features, "entity": key(number)} for number in range(start, end)]
    return requests.post(_PATH, {"requests": rows})


async def _next(reader: asyncio.StreamReader, parser: Parser) -> Answer:
    while True:
        data = await reader.read(1 << 20)
        if not data:
            raise Unavailable("the gateway closed a connection in the middle of an answer")
        found = parser.feed(data)
        if found:
            return found[0]
