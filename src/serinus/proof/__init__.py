"""The published proof: how often our verdicts and others err, on the same simulated streams."""
