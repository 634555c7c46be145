"""Delivery under faults: deaths at every write, stopped leaders, jumping clocks, full disks."""
