"""From a dataset to a registered version: fit, judge, record, register."""
