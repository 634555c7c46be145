"""Proofs under stress: swaps, kills and hostile clients, against real processes and real HTTP."""
