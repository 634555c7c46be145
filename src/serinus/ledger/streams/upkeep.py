"""Sees that a server can be trusted with a ledger, and closes the writers that died."""

from __future__ import annotations

import logging
import os

from serinus.errors import InvalidInput
from serinus.ledger.streams.sealing import seal
from serinus.ledger.streams.server import Server

_log = logging.getLogger("serinus.ledger")


def prepare(address: str) -> int:
    """Make sure that writers can be at home there, and close those whose lease has run out.

    Returns:
        0: the server never keeps a part of an append, so there is nothing to cut off.

    Raises:
        InvalidInput: the address is none, or the server would throw records away when it is full.
        Unavailable: the server cannot be reached or written.
    """
    server = Server(address, retries=1)
    try:
        _check(server)
        names, closed = server.ask_all([("SMEMBERS", server.writers), ("SMEMBERS", server.closed)])
        with server.explained():
            for name in set(names) - set(closed):
                seal(server, name.decode(), only_dead=True)
    finally:
        server.close()
    return 0


def _check(server: Server) -> None:
    probe = f"{server.writers}:{os.urandom(4).hex()}"
    server.ask_all([("SET", probe, "1", "PX", 1000), ("DEL", probe)])
    memory, persistence = server.ask_all([("INFO", "memory"), ("INFO", "persistence")])
    policy = str(memory.get("maxmemory_policy", ""))
    if policy.startswith("allkeys"):
        raise InvalidInput(
            f"the server removes any key when its memory is full (maxmemory-policy {policy})",
            where=server.place,
            remedy="Set maxmemory-policy noeviction: then it refuses writes, and nothing is lost.",
        )
    if not persistence.get("aof_enabled", 0):
        _log.warning(
            "the server of the ledger keeps no append-only file: what it acknowledges is lost when "
            "it ends (appendonly no)"
        )
