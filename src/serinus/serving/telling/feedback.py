"""Joins what turned out to the predictions it is about: id -> the ledger's own record -> events.

Telling the same twice is harmless: whoever folds the ledger counts the first label of an id, and
the first value. Predictions are looked up in a thread, a slice at a time, because an old one may
have to come from a disk or an archive; each slice becomes events in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from msgspec import UNSET

from serinus import clock, wire
from serinus.errors import Conflict, InvalidInput, NotFound, SerinusError, Unavailable
from serinus.ledger import ids
from serinus.serving.protocols.decode import FeedbackItem
from serinus.serving.telling.counters import Counters
from serinus.serving.threads import Hand
from serinus.wire import Answer, Event, Manifest

FindManifest = Callable[[str, str], Manifest | None]
Item: TypeAlias = FeedbackItem | InvalidInput
"""What was told of a prediction, or why it cannot be understood."""
Found: TypeAlias = tuple[bytes, wire.Prediction] | SerinusError
"""The prediction that an item is about, under its id, or why the item is refused."""
Told: TypeAlias = wire.Label | wire.Value
"""The event of a label or of a value."""
Written: TypeAlias = Sequence[bytes | SerinusError]
"""For each event its id, or why it is not in the ledger."""
Write = Callable[[Sequence[Event], Callable[[Written], None]], None]
"""Writes events and then, in the loop, tells what became of each."""

ITEMS_PER_TURN = 250
"""So many are looked up and written between two turns of the event loop: about a millisecond."""
MOST_WAITING = 50_000
"""So many may wait to be looked up; who comes then is asked to come again."""


class Lookup(Protocol):
    """Where predictions are found again."""

    def lookup_many(self, ids: Sequence[bytes]) -> list[Event | None]:
        """For each id its event, None where there is none."""


class Feedback:
    """Turns labels and values into events.

    Args:
        ledger: that the predictions are in.
        find_manifest: what is known of a model's version, if it is loaded.
    """

    def __init__(self, ledger: Lookup, find_manifest: FindManifest) -> None:
        self._ledger = ledger
        self._find_manifest = find_manifest

    def find(self, items: Sequence[Item]) -> list[Found]:
        """For each item the prediction that it is about, or its fault. May wait for a disk.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        addresses: list[bytes | SerinusError] = [_address(item) for item in items]
        wanted = [id for id in addresses if isinstance(id, bytes)]
        found = iter(self._ledger.lookup_many(wanted))
        return [id if isinstance(id, SerinusError) else _about(id, next(found)) for id in addresses]

    def events(
        self, items: Sequence[Item], found: Sequence[Found]
    ) -> list[list[Told] | SerinusError]:
        """For each item one event for its label and one for its value, or why it is refused.

        An item whose label is wrong is refused with its value: half of it would be hard to repeat.

        Args:
            items: what was told.
            found: what :meth:`find` found for them.
        """
        known: dict[tuple[str, str], Terms] = {}
        now = clock.epoch_us()
        made: list[list[Told] | SerinusError] = []
        for item, about in zip(items, found, strict=True):
            if isinstance(item, InvalidInput):
                made.append(item)
                continue
            if isinstance(about, SerinusError):
                made.append(about)
                continue
            key = (about[1].assignment.model, about[1].version)
            terms = known.get(key)
            if terms is None:
                terms = known[key] = Terms(self._find_manifest(*key))
            try:
                made.append(_events(item, *about, terms, now))
            except SerinusError as error:
                made.append(error)
        return made


class Terms:
    """What labels of one version may be.

    Args:
        manifest: of the version, None if it is not loaded any more.
    """

    def __init__(self, manifest: Manifest | None) -> None:
        self._manifest = manifest
        classes = manifest.classes if manifest is not None else ()
        # True == 1 in Python, but a boolean is no class of a model whose classes are numbers.
        self._classes: dict[tuple[bool, Answer], Answer] = {
            (isinstance(name, bool), name): name for name in classes
        }

    def checked(self, label: Answer, predicted: Answer) -> Answer:
        """The label, in the terms of the model that it is about.

        Args:
            label: as it was sent.
            predicted: what the model had said; without a manifest, all that is known of its terms.

        Raises:
            InvalidInput: it is none of the model's classes, or no number.
        """
        if self._manifest is not None and self._classes:
            found = self._classes.get((isinstance(label, bool), label))
            if found is not None:
                return found
            classes = self._manifest.classes
            raise InvalidInput(
                f"{label!r} is none of the classes of {self._manifest.model!r}",
                where="label",
                remedy=f"Its classes are {', '.join(map(repr, classes[:20]))}.",
            )
        wanted = _kind(predicted)
        if _kind(label) != wanted:
            raise InvalidInput(f"the label must be {wanted}, as the prediction was", where="label")
        return float(label) if isinstance(predicted, float) else label


class Intake:
    """Takes labels and values in, however many come at once, beside the predictions.

    Args:
        feedback: what joins them.
        write: into the worker's ledger.
        counters: of the worker.
        loop: the event loop that this is called in.
    """

    def __init__(
        self,
        feedback: Feedback,
        write: Write,
        counters: Counters,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._feedback = feedback
        self._write = write
        self._counters = counters
        self._loop = loop
        self._hand = Hand(loop, "feedback")
        self._waiting = 0

    async def take(self, items: Sequence[Item]) -> list[SerinusError | None]:
        """Write the events of labels and values; for each item that could not be taken, why.

        Raises:
            Unavailable: too many wait already.
        """
        if self._waiting and self._waiting + len(items) > MOST_WAITING:
            raise Unavailable(
                f"{self._waiting:,} labels and values wait to be taken in",
                remedy="Send these again in a moment, in fewer requests at a time.",
            )
        results: list[SerinusError | None] = [None] * len(items)
        # Ids sort as their records lie: neighbours are read together. One id's keep their order.
        order = sorted(range(len(items)), key=lambda place: _address_text(items[place]))
        self._waiting += len(items)
        try:
            for start in range(0, len(items), ITEMS_PER_TURN):
                places = order[start : start + ITEMS_PER_TURN]
                part = [items[place] for place in places]
                found = await self._hand.call(partial(self._feedback.find, part))
                made = self._feedback.events(part, found)
                faults = self._counted(made, await self._written(made))
                for place, fault in zip(places, faults, strict=True):
                    results[place] = fault
        finally:
            self._waiting -= len(items)
        return results

    async def _written(self, found: list[list[Told] | SerinusError]) -> Written:
        events = [event for item in found if isinstance(item, list) for event in item]
        if not events:
            return ()
        written: asyncio.Future[Written] = self._loop.create_future()

        def told(made: Written) -> None:
            # Who went away has cancelled the future; the events are written all the same.
            if not written.done():
                written.set_result(made)

        self._write(events, told)
        return await written

    def _counted(
        self, found: list[list[Told] | SerinusError], written: Written
    ) -> list[SerinusError | None]:
        """Count what was written; for each item its fault, if any."""
        following = iter(written)
        results: list[SerinusError | None] = []
        for item in found:
            fault = None if isinstance(item, list) else item
            for event in item if isinstance(item, list) else ():
                made = next(following)
                if isinstance(made, SerinusError):
                    fault = made
                elif isinstance(event, wire.Label):
                    self._counters.labels += 1
                else:
                    self._counters.values += 1
            results.append(fault)
        return results


def summary(results: Sequence[SerinusError | None]) -> tuple[int, dict[str, object]]:
    """What to answer: a status and a document that names each item that was refused.

    202 if at least one was taken; else the status of the first fault, whose problem the document
    then is.

    Raises:
        Unavailable: the ledger took none, or only some. Telling twice is harmless, so all of it
            is to be sent again.
    """
    faults = [(index, error) for index, error in enumerate(results) if error is not None]
    for _, error in faults:
        if isinstance(error, Unavailable):
            raise error
    status = 202
    document: dict[str, object] = {"accepted": len(results) - len(faults)}
    if faults and len(faults) == len(results):
        first = faults[0][1]
        status, document = first.status, first.problem()
        if len(results) == 1:
            return status, document
    if faults:
        document["rejected"] = [{"index": place, "error": it.problem()} for place, it in faults]
    return status, document


def _address_text(item: Item) -> str:
    return "" if isinstance(item, InvalidInput) else item.prediction_id.lower()


def _address(item: Item) -> bytes | SerinusError:
    if isinstance(item, InvalidInput):
        return item
    try:
        return ids.decode(item.prediction_id)
    except InvalidInput as error:
        return error


def _about(id: bytes, event: Event | None) -> Found:
    if isinstance(event, wire.Prediction):
        return id, event
    if isinstance(event, wire.Failure) and event.default is not None:
        return Conflict(
            "the answer was the default: no version gave it",
            where="prediction_id",
            remedy="Tell nothing of answers without a version; they count as failures as they are.",
        )
    return NotFound(
        f"there is no prediction {ids.encode(id)}",
        where="prediction_id",
        remedy="Give the prediction_id of an answer of this installation.",
    )


def _events(
    item: FeedbackItem, id: bytes, about: wire.Prediction, terms: Terms, now: int
) -> list[Told]:
    events: list[Told] = []
    if item.label is not UNSET:
        label = terms.checked(item.label, about.output.value)
        events.append(
            wire.Label(now, id, label, about.at, about.assignment, about.version, about.output)
        )
    if item.value is not UNSET:
        events.append(wire.Value(now, id, item.value, about.at, about.assignment, about.version))
    return events


def _kind(value: Answer) -> str:
    if isinstance(value, bool):
        return "a boolean"
    return "text" if isinstance(value, str) else "a number"
