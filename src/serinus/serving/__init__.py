"""The data plane: requests in, answers and events out; runs alone.

The flow of one request: ``asgi`` (HTTP) -> ``decode`` -> ``router`` -> ``batching`` (one model
call and one ledger write for all requests of one turn of the event loop) -> ``answers``.
Beside it: ``table`` follows the routing table, ``mirror`` feeds the shadow, ``feedback`` joins
labels and values, ``workers`` keeps processes alive.
"""
