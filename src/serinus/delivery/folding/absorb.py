"""What a batch of events adds to the evidence of deployments: the same whoever reads it when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection

from serinus import clock
from serinus.delivery.records import awaiting, evidence, halves, workers
from serinus.delivery.types import Deployment, Kind
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold
from serinus.delivery.verdicts.evidence import Evidence, Sight
from serinus.delivery.verdicts.fold import Facts
from serinus.delivery.verdicts.watch import Watch
from serinus.wire import Event

# Two writers are read one after the other, so a label may be read before its request.
ORPHAN_SECONDS = 60.0
_ORPHAN_US = round(ORPHAN_SECONDS * 1e6)
_NEVER = 1 << 62
_FACTS = msgspec.msgpack.Decoder(Facts)
_KINDS: dict[str, tuple[Kind, ...]] = {
    fold.LABEL: ("quality", "shadow_quality"),
    fold.VALUE: ("business",),
}


def absorb(
    connection: Connection,
    records: Sequence[tuple[bytes, Event]],
    live: Sequence[Deployment],
    now: datetime,
    *,
    complete: bool,
    due: dict[str, int] | None = None,
) -> list[str]:
    """Fold a batch into the evidence of the live deployments, in the caller's transaction.

    It depends on its arguments and the store alone, so that a replay of the same batches gives the
    same evidence, bit for bit: ``due`` only spares looks that would find nothing.

    Args:
        connection: the transaction.
        records: ids and events, in ledger order.
        live: the deployments that may learn from them.
        now: the present time: what was predicted a label window before it is given up.
        complete: whether all of the ledger was read. Only then may labels be given up, since after
            a pause of the controller they may lie behind what was read so far.
        due: by deployment, when (microseconds since 1970) something that waits may be given up
            although no event came; kept up to date here. None looks at all deployments.

    Returns:
        The deployments whose state changed.
    """
    found, reported = fold.sort(records, {item.id: item for item in live})
    workers.write(connection, reported.values())
    moment = clock.to_epoch_us(now)
    due = {} if due is None else due
    touched = [item for item in live if found[item.id] or due.get(item.id, 0) <= moment]
    watches = evidence.watches(connection, [item.id for item in touched])
    changed, added = [], []
    for deployment in touched:
        events, watch = found[deployment.id], watches[deployment.id]
        gathered = _gather(connection, deployment, events, watch)
        more, ended, due[deployment.id] = _mature(connection, deployment, now, give_up=complete)
        learnt = gathered.evidence + more
        if learnt.tables or gathered.watch is not watch:
            added.append((deployment.id, learnt, gathered.watch))
        if events or ended:
            changed.append(deployment.id)
    evidence.add(connection, added, now)
    return changed


def _gather(
    connection: Connection, deployment: Deployment, events: fold.Events, watch: Watch
) -> fold.Gathered:
    """What the events of a batch add; what has to wait or to be remembered is written down."""
    if not events:
        return fold.Gathered(ev.EMPTY, watch)
    known = evidence.units(connection, deployment.id, fold.units_of(deployment, events))
    gathered = fold.gather(deployment, events, watch, known)
    evidence.add_units(connection, deployment.id, gathered.units, known)
    for kind, waiting in ((fold.LABEL, gathered.labels), (fold.VALUE, gathered.values)):
        awaiting.add(connection, deployment.id, kind, waiting.asked, waiting.told)
    gathered.evidence += halves.join(connection, deployment.id, gathered.halves)
    return gathered


def _mature(
    connection: Connection, deployment: Deployment, now: datetime, *, give_up: bool
) -> tuple[Evidence, bool, int]:
    """Fold outcomes in the order of their requests, up to the first that may still come.

    Returns:
        What they add, whether anything waits no longer, and when (microseconds since 1970) the
        first that still waits may be given up.
    """
    plan = deployment.plan
    moment, window = clock.to_epoch_us(now), round(plan.label_window_seconds * 1e6)
    given_up = moment - window if give_up else 0
    seen: Counter[Sight] = Counter()
    ended, due = 0, _NEVER
    if not (plan.clone or any(plan.has(*guardrails) for guardrails in _KINDS.values())):
        return ev.EMPTY, False, _NEVER
    for kind, guardrails in _KINDS.items():
        if not plan.has(*guardrails):
            continue
        first = awaiting.first(connection, deployment.id, kind, given_up)
        for rows in awaiting.settled(connection, deployment.id, kind, first):
            # What is alike is decoded once: classes and shares are few.
            alike = Counter((row.facts, row.outcome) for row in rows)
            for (facts, outcome), times in alike.items():
                came = awaiting.answer_of(outcome)
                for sight in fold.mature(plan, kind, _FACTS.decode(facts), came):
                    seen[sight] += times
            ended += len(rows)
        due = min(due, first[0] + window if first else _NEVER)
    dropped, orphans_due = _drop_orphans(connection, deployment, moment, give_up=give_up)
    return ev.count(seen), ended + dropped > 0, min(due, orphans_due)


def _drop_orphans(
    connection: Connection, deployment: Deployment, moment: int, *, give_up: bool
) -> tuple[int, int]:
    """Drop what was told long ago of requests that never came; how many, and when the next is."""
    oldest = awaiting.oldest_orphan(connection, deployment.id)
    if oldest is None:
        return 0, _NEVER
    if not give_up or oldest >= moment - _ORPHAN_US:
        return 0, oldest + _ORPHAN_US + 1
    dropped = awaiting.drop_orphans(connection, deployment.id, moment - _ORPHAN_US)
    oldest = awaiting.oldest_orphan(connection, deployment.id)
    return dropped, _NEVER if oldest is None else oldest + _ORPHAN_US + 1
