"""Datasets: read from where they are, checked before anything uses them, split without loss."""
