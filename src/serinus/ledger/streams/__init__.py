"""The ledger in a Redis or Valkey server: a stream a writer, for gateways on several hosts.

Keys, under the prefix of the address (``serinus:ledger`` unless it says otherwise):

* ``<prefix>:<writer>``: a writer's stream. An entry is a record, its field ``f`` the same frame
  that a file would hold, its id ``<segment>-<offset>``: the address that the record's own id has.
* ``<prefix>:writers``, ``<prefix>:closed``: sets of the names of all writers and of those that
  have ended. Names stay, so that none is ever given twice.
* ``<prefix>:<writer>:lease``: there as long as the writer is taken to be alive.

A stream is ended by an entry with the greatest id there is. The server itself then refuses every
later one, so that a writer which was wrongly taken for dead cannot write where nobody reads.
"""
