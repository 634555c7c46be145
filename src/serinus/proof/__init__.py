"""The published proof: error rates and speeds of our verdicts, and of others, on the same streams."""
