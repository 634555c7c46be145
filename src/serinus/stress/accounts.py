"""What clients were told, what the ledger has, what the evidence counts: compared. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from serinus.ledger import ids
from serinus.ledger.types import Offset, Offsets
from serinus.wire import Event, Failure, Label, Prediction


@dataclass(frozen=True)
class Books:
    """The ledger's own count.

    Attributes:
        predictions: the ids of all predictions.
        labels: by the prediction's id, how many labels were recorded.
        requests: by deployment and arm, predictions and failures under a share of the traffic.
        told: by deployment, the labels that came, be it twice.
    """

    predictions: frozenset[str]
    labels: Mapping[str, int]
    requests: Mapping[str, Mapping[str, int]]
    told: Mapping[str, int]


@dataclass
class _Count:
    predictions: set[str] = field(default_factory=set)
    labels: Counter[str] = field(default_factory=Counter)
    requests: dict[str, Counter[str]] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)


def balance(records: Iterable[tuple[bytes, Event]]) -> Books:
    """Count the records of a ledger."""
    count = _Count()
    for id, event in records:
        if isinstance(event, Prediction):
            count.predictions.add(ids.encode(id))
        if isinstance(event, Prediction | Failure):
            if _is_evidence(event):
                given = event.assignment
                count.requests.setdefault(given.deployment, Counter())[given.arm] += 1
        elif isinstance(event, Label):
            count.labels[ids.encode(event.prediction)] += 1
            count.told[event.assignment.deployment] += 1
    return Books(frozenset(count.predictions), count.labels, count.requests, count.told)


def learnt(
    records: Iterable[tuple[bytes, Event]], ends: Mapping[str, Offsets]
) -> dict[str, Counter[str]]:
    """By deployment and arm, the requests that it must have counted before it ended.

    Args:
        records: of the ledger.
        ends: by deployment, how far each writer had been read when it last learnt anything.
    """
    found: dict[str, Counter[str]] = {deployment: Counter() for deployment in ends}
    for id, event in records:
        if isinstance(event, Prediction | Failure) and event.assignment.deployment in ends:
            at = ids.unpack(id)
            end = ends[event.assignment.deployment].get(at.writer)
            if _is_evidence(event) and end and Offset(at.segment, at.offset) < end:
                found[event.assignment.deployment][event.assignment.arm] += 1
    return found


def missing(acknowledged: Iterable[str], books: Books) -> set[str]:
    """The acknowledged predictions that the ledger does not have."""
    return set(acknowledged) - books.predictions


def unlabelled(accepted: Iterable[str], books: Books) -> set[str]:
    """The predictions whose label was accepted and is not in the ledger."""
    return {id for id in accepted if id not in books.labels}


def excess(counted: Mapping[str, int], recorded: Mapping[str, int]) -> int:
    """How many more were counted than there are, over all keys."""
    return sum(max(0, number - recorded.get(key, 0)) for key, number in counted.items())


def _is_evidence(event: Prediction | Failure) -> bool:
    return bool(event.assignment.deployment) and event.assignment.share > 0
