"""The ledger in files: segments of frames, one folder a writer, on this machine's disk."""
