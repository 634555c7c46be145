"""The event log: checksummed, append-only segments, one folder per writer.

The flow: events -> ``writer`` -> segments on disk -> ``reader`` -> consumers, which keep their
offsets in their own database transaction (``consumer``). A record's id is its address.
"""
