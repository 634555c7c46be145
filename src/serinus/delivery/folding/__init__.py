"""From the ledger to evidence, and once more: whoever reads events in their order."""
