"""The data plane: requests in, answers and events out; runs alone.

The flow of one request: ``http`` -> ``protocols`` (typed rows) -> ``router`` -> ``batching`` (one
call of a ``runtimes`` and one ledger write for all requests of one turn of the event loop) ->
``protocols`` (the answer's body) -> ``http``.
Beside it: ``table`` follows the routing table, ``mirror`` feeds the shadow, ``feedback`` joins
labels and values, ``workers`` keeps processes alive.
"""
