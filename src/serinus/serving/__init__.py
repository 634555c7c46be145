"""The data plane: requests in, answers and events out; runs alone.

The flow of one request: ``http`` -> ``protocols`` (typed rows) -> ``asking`` (its arm, and one call
of a ``runtimes`` for all rows of one turn of the event loop) -> ``telling`` (one write to the
ledger for all of them) -> ``protocols`` (the answer's body) -> ``http``.
Beside it: ``loading`` follows the routing table, ``service`` puts all of it together, and
``workers`` keeps its processes alive.
"""
