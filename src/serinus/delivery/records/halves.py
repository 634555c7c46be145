"""The second answers of a request wait in the store for each other, each at most a minute.

The challenger's and the champion's second answer may be read in either order and in different
batches, and one of them may have been shed. What does not meet its other half is dropped, so what
waits is bounded by a minute's traffic, and of what was joined nothing is left to be joined again.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, select, text

from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Evidence
from serinus.delivery.verdicts.pairs import Flip, Halves
from serinus.store import schema
from serinus.store.chunks import chunks

KIND = "clone"
# By the ledger's own time: who reads from far behind drops no more than who is up to date.
WAIT_SECONDS = 60.0
_AWAITING = schema.awaiting
_pack = msgspec.msgpack.Encoder().encode
_FLIP = msgspec.msgpack.Decoder(Flip)
_KEEP = text(
    "INSERT INTO awaiting (prediction, deployment, kind, predicted_at, facts, outcome)"
    " VALUES (:prediction, :deployment, :kind, :predicted_at, :facts, :outcome)"
    " ON CONFLICT (prediction, deployment, kind) DO NOTHING"
)


def join(connection: Connection, deployment: str, new: Halves) -> Evidence:
    """Join what came with what waits, and keep the rest; what the joined requests add.

    Args:
        connection: the transaction that saves the offsets.
        deployment: its id.
        new: halves of a batch that did not meet in it.
    """
    keys = list(new.challenger | new.clone)
    if not keys:
        return ev.EMPTY
    newest = max(flip.at for half in (new.challenger, new.clone) for flip in half.values())
    here = (_AWAITING.c.deployment == deployment) & (_AWAITING.c.kind == KIND)
    columns = (_AWAITING.c.prediction, _AWAITING.c.facts, _AWAITING.c.outcome)
    both = Halves(dict(new.challenger), dict(new.clone))
    waited: list[bytes] = []
    for some in chunks(keys):
        query = select(*columns).where(here, _AWAITING.c.prediction.in_(some))
        for prediction, facts, outcome in connection.execute(query):
            # The first that came counts, as it does within a batch.
            if facts:
                both.challenger[prediction] = _FLIP.decode(facts)
            if outcome is not None:
                both.clone[prediction] = _FLIP.decode(outcome)
            waited.append(prediction)
    sights = both.join()
    met = [key for key in waited if key not in both.challenger and key not in both.clone]
    for some in chunks(met):
        connection.execute(delete(_AWAITING).where(here, _AWAITING.c.prediction.in_(some)))
    _keep(connection, deployment, both)
    late = newest - round(WAIT_SECONDS * 1e6)
    connection.execute(delete(_AWAITING).where(here, _AWAITING.c.predicted_at < late))
    return ev.count(sights)


def _keep(connection: Connection, deployment: str, halves: Halves) -> None:
    rows = [
        {
            "prediction": prediction,
            "deployment": deployment,
            "kind": KIND,
            "predicted_at": flip.at,
            "facts": _pack(flip) if is_challengers else b"",
            "outcome": None if is_challengers else _pack(flip),
        }
        for half, is_challengers in ((halves.challenger, True), (halves.clone, False))
        for prediction, flip in half.items()
    ]
    if rows:
        connection.execute(_KEEP, rows)
