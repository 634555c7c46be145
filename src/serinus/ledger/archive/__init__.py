"""What the ledger's finished segments become: Parquet that every engine reads, and SQL over it.

The flow: finished segment -> ``compaction`` (``rows`` shapes, ``parquet`` writes) -> files and one
entry in the ``catalog``. A segment is archived exactly when it has its entry. ``lookup`` and
``reader`` find single records again, bit for bit; ``query`` asks them all, with the ledger's live
tail; ``retention`` says what may go.
"""
