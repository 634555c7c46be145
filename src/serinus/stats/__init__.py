"""Mathematics only: numpy and scipy, no input, no output, no clock."""
