"""The whole loop on real data, told as a story: `serinus demo`."""
