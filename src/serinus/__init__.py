"""Serinus: models from data to production traffic, step by step, on evidence."""
