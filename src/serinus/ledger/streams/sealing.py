"""Ends streams, so that the server itself refuses whatever would still come."""

from __future__ import annotations

from serinus.ledger.streams.server import Script, Server

# KEYS: stream, lease, closed. ARGV: writer, whether to leave it alone while its lease runs.
_SEAL = """
local last = '18446744073709551615-18446744073709551615'
if ARGV[2] == '1' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if #redis.call('XRANGE', KEYS[1], last, last) == 0 then
  redis.call('XADD', KEYS[1], last, 'end', '')
end
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[2])
return 1
"""


def seal(server: Server, writer: str, *, only_dead: bool = False) -> bool:
    """End a writer's stream; whether it is ended.

    Args:
        server: that has it.
        writer: whose stream.
        only_dead: leave it alone if the writer is alive, which is told by its lease.

    Raises:
        RedisError: as the client library has them.
    """
    keys = [server.stream(writer), server.lease(writer), server.closed]
    [answer] = Script(_SEAL).run(server, keys, writer, int(only_dead))
    return bool(answer)
